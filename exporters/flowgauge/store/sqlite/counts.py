"""Counts in one SQLite file."""

import json
from collections.abc import Callable, Sequence
from itertools import groupby

from flowgauge.store.counts import SEEN, Change, Count, Totals, changes, read_totals
from flowgauge.store.sqlite.file import SqliteFile
from flowgauge.store.sqlite.from_0_1 import counted_by_0_1, take_over
from flowgauge.store.sqlite.rows import count

__all__ = ["SqliteCounts"]


class SqliteCounts:
    """The `Counts` of *file*; *clock* gives Unix seconds."""

    def __init__(self, file: SqliteFile, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock

    def add(self, *counts: Count) -> None:
        """See `Counts.add`."""
        with self._file.writing() as db:
            count(db, changes(counts), self._clock())

    def page(self, kind: str, after: int, limit: int) -> Sequence[Totals]:
        """See `Counts.page`."""
        if after < 0:
            self._take_over()
        with self._file.reading() as db:
            rows = db.execute(
                "SELECT labels, place, field, value FROM (SELECT * FROM owners"
                " WHERE kind = ? AND place > ? AND labels IS NOT NULL ORDER BY place LIMIT ?)"
                " LEFT JOIN counts ON owner = id ORDER BY place",
                (kind, after, limit),
            ).fetchall()
        return [
            read_totals(labels, place, {field: value for *_, field, value in fields if field})
            for (labels, place), fields in groupby(rows, key=lambda row: row[:2])
        ]

    def fold(self, kind: str, totals: Totals, other: Change) -> bool:
        """See `Counts.fold`."""
        with self._file.writing() as db:
            unchanged = db.execute(
                "SELECT id FROM owners JOIN counts ON owner = id"
                " WHERE kind = ? AND labels = ? AND field = ? AND value = ?",
                (kind, json.dumps(totals.labels), SEEN, totals.seen),
            ).fetchone()
            if unchanged:
                db.execute("DELETE FROM counts WHERE owner = ?", unchanged)
                db.execute("UPDATE owners SET labels = NULL WHERE id = ?", unchanged)
                count(db, [other], self._clock())
            return unchanged is not None

    def _take_over(self) -> None:
        while self._left_by_0_1():
            with self._file.writing() as db:
                take_over(db, self._clock())

    def _left_by_0_1(self) -> bool:
        with self._file.reading() as db:
            return counted_by_0_1(db)
