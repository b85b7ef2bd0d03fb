"""Which pair of DAG and task has which place: the workers of a server share one list.

A file is only ever added to, a line for a pair that gets a place, under the file's lock. A pair
that has one is found without it. There are so many places and no more; `OTHERS` is that of all who
have none.

Anybody who reaches the server can make up names, so a place is not for good. In a full house

- a pair that logs takes that of one that never did, the one silent longest,
- else any takes that of one of its kind that was silent for a day.

What a pair counted before it lost its place belongs to `OTHERS`; the line that gives the place away
says how much that is. Whoever writes a line may be killed at any moment: half a line is cut off by
the next one to write.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flowgauge.dag_headers import Pair, is_name
from flowgauge.errors import UsageError
from flowgauge.redact import quote
from flowgauge.server.dag_counts import Column, column, read_counts, row
from flowgauge.server.metrics_folder import DAG_PLACES
from flowgauge.server.reserved import is_gone

if TYPE_CHECKING:
    from array import array

__all__ = ["LIMIT_VARIABLE", "OTHERS", "Places", "max_pairs", "read_places"]

LIMIT_VARIABLE = "FLOWGAUGE_MAX_DAG_TASKS"
_DEFAULT = 1000
_MOST = 100_000

OTHERS = 0
"""The place of all pairs that have none of their own."""

_SILENT_SECONDS = 24 * 3600.0
# In vain: not again for so long, for to look at all places takes a millisecond.
_FULL_SECONDS = 60.0
# Of the event loop's time, should a process that holds the lock be stopped; and then not again.
_PATIENCE_SECONDS = 0.05
_POLL_SECONDS = 0.001
_LOCKED_SECONDS = 10.0


def max_pairs() -> int:
    """Return how many pairs have a place: FLOWGAUGE_MAX_DAG_TASKS, by default 1,000.

    Raises `UsageError` for what is no such number.
    """
    text = os.environ.get(LIMIT_VARIABLE) or str(_DEFAULT)
    if not (text.isascii() and text.isdecimal() and int(text) <= _MOST):
        raise UsageError(
            f"{LIMIT_VARIABLE} is {quote(text)!r}: give a whole number from 0 to {_MOST:,}, how "
            "many pairs of DAG and task have labels of their own"
        )
    return int(text)


class _List:
    """The file, as far as it was read."""

    def __init__(self, file: int) -> None:
        self._file = file
        self.read_to = 0
        self.places: dict[Pair, int] = {}
        self.pairs: dict[int, Pair] = {}
        self.before: dict[int, list[float]] = {}

    def read(self) -> None:
        """Take in what was added."""
        size = os.fstat(self._file).st_size
        if size == self.read_to:
            return
        lines, end, _ = os.pread(self._file, size - self.read_to, self.read_to).rpartition(b"\n")
        for line in lines.splitlines():
            self._give(*json.loads(line))
        self.read_to += len(lines) + len(end)

    def _give(self, place: int, dag_id: str, task_id: str, before: list[float]) -> None:
        if not is_name(dag_id) or not (is_name(task_id) or not task_id):
            raise ValueError("the list of places has been written to by somebody else")
        if loser := self.pairs.get(place):
            del self.places[loser]
        self.places[dag_id, task_id] = place
        self.pairs[place] = (dag_id, task_id)
        self.before[place] = before

    def add(self, place: int, pair: Pair, before: list[float]) -> None:
        """Give *place* to *pair*; whoever does holds the lock and has read all."""
        os.ftruncate(self._file, self.read_to)
        os.write(self._file, json.dumps([place, *pair, before]).encode() + b"\n")
        self.read()


class Places:
    """The list in *folder*, with *most* places, as a worker uses it."""

    def __init__(
        self, folder: Path, most: int, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._folder = folder
        self._most = most
        self._sleep = sleep
        self._file = _open(folder, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        self._list = _List(self._file)
        self._not_before = {False: 0.0, True: 0.0}

    def is_gone(self) -> bool:
        """Return whether somebody took the list away."""
        return is_gone(self._file, self._folder / DAG_PLACES)

    def close(self) -> None:
        """Read it no more."""
        os.close(self._file)

    def of(self, pair: Pair, now: float, *, logs: bool) -> int:
        """Return the place of *pair*, which gets one if it can; *logs* says what it does now."""
        self._list.read()
        place = self._list.places.get(pair)
        if place is None and now >= self._not_before[logs]:
            place = self._find(pair, now, logs=logs)
        # One that a server with more places left there is not within this one's counts.
        return OTHERS if place is None or place > self._most else place

    def _find(self, pair: Pair, now: float, *, logs: bool) -> int | None:
        try:
            with self._locked():
                self._list.read()
                if pair not in self._list.places:
                    counts = read_counts(self._folder)
                    place = self._free(counts, now, logs=logs)
                    if place is None:
                        self._not_before[logs] = now + _FULL_SECONDS
                        return None
                    self._list.add(place, pair, row(counts, place))
                return self._list.places[pair]
        except BlockingIOError:
            self._not_before = dict.fromkeys(self._not_before, now + _LOCKED_SECONDS)
            return None

    def _free(self, counts: "Sequence[array[float]]", now: float, *, logs: bool) -> int | None:
        taken = self._list.pairs
        if len(taken) < self._most:
            return len(taken) + 1
        seen, logged = column(counts, Column.SEEN), column(counts, Column.LOGGED)
        never_logged = [
            place for place in taken if logged[place] <= self._list.before[place][Column.LOGGED]
        ]
        of_its_kind = taken if logs else never_logged
        silent = [place for place in of_its_kind if seen[place] < now - _SILENT_SECONDS]
        to_be_had = never_logged if logs and never_logged else silent
        return min(to_be_had, key=seen.__getitem__, default=None)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the file; raise `BlockingIOError` when somebody else keeps it too long."""
        waits = round(_PATIENCE_SECONDS / _POLL_SECONDS)
        for left in reversed(range(waits)):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not left:
                    raise
                self._sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def read_places(folder: Path) -> tuple[dict[int, Pair], dict[int, list[float]]]:
    """Return who has which place, and what was counted there before it came.

    Raises `FileNotFoundError` as long as there is no list.
    """
    file = _open(folder, os.O_RDONLY)
    try:
        found = _List(file)
        found.read()
    finally:
        os.close(file)
    return found.pairs, found.before


def _open(folder: Path, flags: int) -> int:
    # A pipe that nobody writes to would be waited for.
    return os.open(folder / DAG_PLACES, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
