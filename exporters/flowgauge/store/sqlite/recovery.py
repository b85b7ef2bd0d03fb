"""A new file with what is readable of a damaged one, which is kept."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowgauge.store.errors import StoreError
from flowgauge.store.private import temporary_file
from flowgauge.store.sqlite import schema
from flowgauge.store.sqlite.place import Place
from flowgauge.store.sqlite.sentences import refusal

__all__ = ["Recovered", "recover"]

_WAIT_SECONDS = 30.0
Db = sqlite3.Connection
Row = Sequence[Any]

# What is copied. Whose grants are whose is not: nobody still waits for an answer.
_KEYS = {
    "outbox": ("place",),
    "windows": ("key",),
    "grants": ("rowid",),
    "tickets": ("place",),
    "owners": ("id",),
    "counts": ("owner", "field"),
}
# Indexes say where rows are that a reading in order cannot get to.
_OUTBOX_INDEXES = {
    "outbox_by_age": "TRUE",
    "outbox_waiting_by_age": "poison IS NULL",
    "outbox_aside_by_age": "poison IS NOT NULL",
    "outbox_waiting": "poison IS NULL",
}


@dataclass(frozen=True)
class Recovered:
    """How many rows of each table are in the new file, and where the damaged one is kept.

    *lost* is how many entries of the outbox were seen and could not be read.
    """

    rows: Mapping[str, int]
    lost: int
    kept: Path


def recover(path: Path) -> Recovered | None:
    """Replace the damaged store at *path*; None if nothing is wrong with it. Raises `StoreError`.

    Tasks that come meanwhile find the store unavailable, and keep what they have elsewhere. What
    cannot be done to its end, for want of room say, leaves the damaged store where it was.
    """
    place = Place(path)
    try:
        with place.alone(time.monotonic() + _WAIT_SECONDS):
            if _is_sound(path):
                return None
            kept = _kept(path)
            place.move(kept)
            with _back_unless_done(kept, place):
                rows, lost = _made_anew(kept, place)
    except FileNotFoundError:
        raise StoreError(f"the store {path} is not there: nothing to recover") from None
    except (OSError, sqlite3.Error) as error:
        raise refusal(path, error) from error
    return Recovered(rows, lost, kept)


@contextmanager
def _back_unless_done(kept: Path, place: Place) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # Where no store is, a task would make an empty one, and nobody would look for this.
        Place(kept).move(place.path)
        raise


def _made_anew(damaged: Path, place: Place) -> tuple[Mapping[str, int], int]:
    scratch = temporary_file(place.path.parent)
    try:
        copied = _copy(damaged, scratch)
        place.put(scratch)
    finally:
        for each in (scratch, *Place(scratch).beside()):
            each.unlink(missing_ok=True)
    return copied


def _is_sound(path: Path) -> bool:
    path.stat()
    try:
        with closing(_connect(path)) as db:
            schema.is_made(db, path)
            return bool(db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError as error:
        # It is busy, or may not be opened: that is no damage.
        raise refusal(path, error) from error
    except sqlite3.DatabaseError:
        return False


def _kept(path: Path) -> Path:
    kept = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
    if kept.exists():
        raise StoreError(f"{kept} is there already: try again in a second")
    return kept


def _copy(damaged: Path, sound: Path) -> tuple[Mapping[str, int], int]:
    """Copy what is readable and return the number of rows by table, and of entries lost."""
    copied: Counter[str] = Counter()
    with closing(_connect(damaged)) as source, closing(_connect(sound)) as target:
        source.text_factory = lambda text: text.decode(errors="replace")
        with suppress(sqlite3.DatabaseError):
            # Who is within a step finishes it; who comes later notices that the file is moved.
            source.execute("BEGIN IMMEDIATE")
        target.execute("PRAGMA journal_mode = WAL")
        target.execute("BEGIN")
        schema.make(target)
        for table in _KEYS:
            columns = {name for _, name, *_ in target.execute(f"PRAGMA table_info({table})")}
            for row in _rows(source, table):
                values = {name: value for name, value in row.items() if name in columns}
                names, marks = ", ".join(values), ", ".join("?" * len(values))
                # Two rows that exclude each other are a sign of damage as well.
                copied[table] += target.execute(
                    f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 (constants)
                    tuple(values.values()),
                ).rowcount
        target.execute("COMMIT")
        lost = len(_places(source) - _outbox_places(target))
    return copied, lost


def _rows(db: Db, table: str) -> Iterator[dict[str, Any]]:
    """Yield what is readable from the front, from the back and, of the outbox, in between."""
    keys = _KEYS[table]
    seen = set()
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{key} {direction}" for key in keys)
        columns = ", ".join(keys)
        for row in _readable(db, f"SELECT {columns}, * FROM {table} ORDER BY {order}"):  # noqa: S608
            key = tuple(row)[: len(keys)]
            if key in seen:
                break
            seen.add(key)
            yield dict(zip(row.keys()[len(keys) :], tuple(row)[len(keys) :], strict=True))
    if table == "outbox":
        for place in sorted(_places(db) - {place for (place,) in seen}):
            for row in _readable(db, "SELECT * FROM outbox WHERE place = ?", place):
                yield dict(row)


def _places(db: Db) -> set[int]:
    """Return the places of all entries that an index still knows."""
    return {
        row["place"]
        for index, where in _OUTBOX_INDEXES.items()
        for direction in ("ASC", "DESC")
        for row in _readable(
            db,
            f"SELECT place FROM outbox INDEXED BY {index} WHERE {where}"  # noqa: S608 (constants)
            f" ORDER BY {'place' if index == 'outbox_waiting' else 'created'} {direction}",
        )
    }


def _outbox_places(db: Db) -> set[int]:
    return {place for (place,) in db.execute("SELECT place FROM outbox")}


def _readable(db: Db, query: str, *parameters: Any) -> Iterator[sqlite3.Row]:
    """Yield rows up to the first that is damaged."""
    try:
        cursor = db.cursor()
        cursor.row_factory = sqlite3.Row
        yield from cursor.execute(query, parameters)
    except sqlite3.DatabaseError:
        return


def _connect(path: Path) -> Db:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
