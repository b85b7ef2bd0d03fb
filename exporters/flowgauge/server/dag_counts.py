"""What a worker counts by place, in a file that outlives it.

A worker holds the lock of a file of numbers, `dags_0.counts`, as long as it lives; the next one to
come takes it over and goes on counting. So nothing is folded, and no number goes back. A place is a
row; whose it is says `dag_places`.
"""

import fcntl
import itertools
import mmap
import os
from array import array
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

from flowgauge.server.metrics_folder import DAG_COUNTS_FILE, dag_counts_file, entries
from flowgauge.server.reserved import is_gone, reserve

__all__ = ["Column", "Counts", "column", "read_counts", "row"]


class Column(IntEnum):
    """What is kept of a place. All but SEEN, a Unix time, are counts and only grow.

    LOGGED are the requests that left something in MLflow, so that it is no name of a stranger's.
    """

    REQUESTS = 0
    FAILURES = 1
    SECONDS = 2
    RUNS = 3
    BYTES = 4
    LOGGED = 5
    SEEN = 6


_COLUMNS = len(Column)
_SEEN = int(Column.SEEN)  # to add an enumeration's member takes ten times as long
_DOUBLE = 8
# Of a hundred thousand places, and more.
_LONGEST_BYTES = 8 * 2**20


class Counts:
    """One worker's counts of *places* places in *folder*."""

    def __init__(self, folder: Path, places: int) -> None:
        self.places = places
        size = places * _COLUMNS * _DOUBLE
        # The file stays open, and so locked, until this process ends.
        self._file, self._path = _take(folder)
        try:
            reserve(self._file, size)
            self._numbers = memoryview(mmap.mmap(self._file, size)).cast("d")
        except OSError:
            self.close()
            raise

    def is_gone(self) -> bool:
        """Return whether somebody took the file away."""
        return is_gone(self._file, self._path)

    def close(self) -> None:
        """Leave the file to the next worker."""
        os.close(self._file)

    def add(self, place: int, amounts: Sequence[float], now: float) -> None:
        """Add *amounts*, a number for each column but SEEN, to *place*."""
        first = place * _COLUMNS
        for at, amount in enumerate(amounts, first):
            if amount:
                self._numbers[at] += amount
        self._numbers[first + _SEEN] = now


def read_counts(folder: Path) -> "list[array[float]]":
    """Return what each worker, living or dead, counted, row by row; nothing of a file too long."""
    found = []
    for entry in entries(folder):
        if DAG_COUNTS_FILE.fullmatch(entry.name) and entry.stat().st_size <= _LONGEST_BYTES:
            content = Path(entry).read_bytes()
            numbers = array("d")
            # One that is being made may be shorter.
            numbers.frombytes(content[: len(content) // _DOUBLE * _DOUBLE])
            found.append(numbers)
    return found


def column(counts: "Sequence[array[float]]", wanted: Column) -> list[float]:
    """Return *wanted* by place over all workers: the sum, and of SEEN the latest."""
    combine = max if wanted is Column.SEEN else sum
    columns = (numbers[wanted::_COLUMNS] for numbers in counts)
    return [combine(values) for values in itertools.zip_longest(*columns, fillvalue=0.0)]


def row(counts: "Sequence[array[float]]", place: int) -> list[float]:
    """Return what is kept of *place* over all workers, by column."""
    at = place * _COLUMNS
    rows = (numbers[at : at + _COLUMNS] for numbers in counts)
    return [sum(values) for values in itertools.zip_longest(*rows, fillvalue=0.0)]


def _take(folder: Path) -> tuple[int, Path]:
    """Open the first file of counts that no living worker has; return where it is, too."""
    for number in itertools.count():
        name = folder / dag_counts_file(number)
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return file, name
    raise AssertionError
