"""The outbox in one SQLite file."""

import sqlite3
from collections.abc import Callable, Sequence

from flowgauge.store.counts import Count, changes, changes_json
from flowgauge.store.outbox import Lease, NewEntry, OutboxEntry, OutboxState
from flowgauge.store.sqlite.file import SqliteFile
from flowgauge.store.sqlite.rows import count, count_json

__all__ = ["SqliteOutbox"]

_COLUMNS = "entry_id, dag_id, task_id, body, reason, created, attempts, poison"
_TO_THE_END = "owner = NULL, leased_until = 0, place = (SELECT MAX(place) + 1 FROM outbox)"


class SqliteOutbox:
    """The `Outbox` of *file*; *clock* gives Unix seconds."""

    def __init__(self, file: SqliteFile, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock

    def put(
        self,
        entry: NewEntry,
        counts: Sequence[Count] = (),
        *,
        lease: Lease | None = None,
        lapsed: Sequence[Count] = (),
    ) -> None:
        """See `Outbox.put`."""
        now = self._clock()
        owner, leased_until = (lease.owner, now + lease.seconds) if lease else (None, 0)
        with self._file.writing(durable=True) as db:
            self._count_if(
                db,
                counts,
                "INSERT INTO outbox (entry_id, dag_id, task_id, body, reason, created, owner,"
                " leased_until, lapsed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                entry.entry_id,
                entry.dag_id,
                entry.task_id,
                entry.body,
                entry.reason,
                now,
                owner,
                leased_until,
                changes_json(lapsed) if lapsed else None,
            )

    def claim(self, lease: Lease, limit: int) -> Sequence[OutboxEntry]:
        """See `Outbox.claim`."""
        now = self._clock()
        with self._file.writing() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS}, lapsed FROM outbox"  # noqa: S608 (a constant)
                " WHERE poison IS NULL AND leased_until <= ? ORDER BY place LIMIT ?",
                (now, limit),
            ).fetchall()
            for entry_id, *_, lapsed in rows:
                db.execute(
                    "UPDATE outbox SET owner = ?, leased_until = ?, lapsed = NULL"
                    " WHERE entry_id = ?",
                    (lease.owner, now + lease.seconds, entry_id),
                )
                if lapsed:
                    count_json(db, lapsed, now)
        return [OutboxEntry(*row[:-1]) for row in rows]

    def settle(self, entry_id: str, counts: Sequence[Count] = ()) -> None:
        """See `Outbox.settle`."""
        with self._file.writing() as db:
            self._count_if(db, counts, "DELETE FROM outbox WHERE entry_id = ?", entry_id)

    def release(self, entry_id: str, owner: str, reason: str, counts: Sequence[Count] = ()) -> None:
        """See `Outbox.release`."""
        with self._file.writing() as db:
            self._count_if(
                db,
                counts,
                f"UPDATE outbox SET reason = ?, attempts = attempts + 1, lapsed = NULL,"  # noqa: S608 (a constant)
                f" {_TO_THE_END} WHERE entry_id = ? AND owner = ? AND poison IS NULL",
                reason,
                entry_id,
                owner,
            )

    def set_aside(
        self, entry_id: str, reason: str, detail: str, counts: Sequence[Count] = ()
    ) -> None:
        """See `Outbox.set_aside`."""
        with self._file.writing() as db:
            self._count_if(
                db,
                counts,
                "UPDATE outbox SET poison = ?, reason = ?, attempts = attempts + 1, lapsed = NULL"
                " WHERE entry_id = ? AND poison IS NULL",
                detail,
                reason,
                entry_id,
            )

    def retry(self, *entry_ids: str) -> Sequence[str]:
        """See `Outbox.retry`."""
        with self._file.writing() as db:
            chosen = entry_ids or [
                entry_id
                for (entry_id,) in db.execute(
                    "SELECT entry_id FROM outbox WHERE poison IS NOT NULL ORDER BY created, place"
                )
            ]
            return _done(
                db,
                f"UPDATE outbox SET poison = NULL, {_TO_THE_END}"  # noqa: S608 (a constant)
                " WHERE entry_id = ? AND poison IS NOT NULL",
                chosen,
            )

    def drop(self, *entry_ids: str) -> Sequence[str]:
        """See `Outbox.drop`."""
        with self._file.writing() as db:
            return _done(db, "DELETE FROM outbox WHERE entry_id = ?", entry_ids)

    def entries(self, limit: int) -> Sequence[OutboxEntry]:
        """See `Outbox.entries`."""
        with self._file.reading() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM outbox ORDER BY created, place LIMIT ?",  # noqa: S608 (a constant)
                (limit,),
            )
            return [OutboxEntry(*row) for row in rows]

    def state(self) -> OutboxState:
        """See `Outbox.state`."""
        with self._file.reading() as db:
            row = db.execute(
                "SELECT (SELECT COUNT(*) FROM outbox WHERE poison IS NULL),"
                " (SELECT COUNT(*) FROM outbox WHERE poison IS NOT NULL),"
                " (SELECT MIN(created) FROM outbox WHERE poison IS NULL)"
            ).fetchone()
        return OutboxState(*row)

    def _count_if(
        self,
        db: sqlite3.Connection,
        counts: Sequence[Count],
        statement: str,
        *values: str | float | None,
    ) -> None:
        """Execute *statement*, and count if it changed anything."""
        if db.execute(statement, values).rowcount > 0:
            count(db, changes(counts), self._clock())


def _done(db: sqlite3.Connection, statement: str, entry_ids: Sequence[str]) -> Sequence[str]:
    """Execute *statement* for each id and return those for which it changed anything."""
    return [each for each in entry_ids if db.execute(statement, (each,)).rowcount > 0]
