"""One SQLite file shared by many threads, forks, processes and users of one host."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from flowgauge.background import Workers
from flowgauge.store.errors import StoreBusyError, StoreError, StoreUnavailableError
from flowgauge.store.sqlite import schema
from flowgauge.store.sqlite.at_fork import close_before_forks, within_sqlite
from flowgauge.store.sqlite.place import Place
from flowgauge.store.sqlite.sentences import primary_code, refusal

__all__ = ["SqliteFile"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
Db = sqlite3.Connection

# SQLite itself waits longer and longer between its tries for a lock, up to 0.1 s: among many
# writers that is too few tries within the time-out. So it waits this long, and is asked again.
_TRY_SECONDS = 0.01
# What a step, which itself ends in time, is given beyond that: only a disk that hangs takes it.
_GRACE_SECONDS = 0.1


_workers = Workers("flowgauge-sqlite")


@dataclass
class _Opened:
    """A connection, the file it is to, and whether it must leave no traces beside it."""

    db: Db
    identity: tuple[int, int]
    is_guest: bool
    is_made: bool
    beside: Mapping[Path, int] = field(default_factory=dict)


class SqliteFile:
    """Transactions on *path*, which is made by the first that writes.

    A transaction is done beside its caller, who goes on without it when the disk hangs; it may be
    done all the same, later. Every thread that does them gets a connection of its own. A file that
    was moved, or replaced by another, is noticed. Who reads another user's file that is not shared
    by a group leaves no trace beside it. Network file systems are not supported: SQLite's WAL mode
    needs shared memory.
    """

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        self._place = Place(path)
        self._timeout = timeout_seconds
        # By process and thread. A child forked by a program that is not Python's has its parent's
        # connections here: letting go of them would close them.
        self._connections: dict[tuple[int, int], _Opened] = {}
        close_before_forks(self.close)

    def read(self, action: Callable[[Db], _T]) -> _T:
        """Return what *action* reads in one consistent state of the file; it may be repeated."""

        def step() -> _T:
            with self._step() as deadline:
                return _patiently(deadline, self._read, action, deadline)

        return self._in_time(step)

    def write(self, action: Callable[[Db], _T], *, durable: bool = False) -> _T:
        """Do *action*, alone; with *durable*, what it wrote survives a power failure.

        Without it, a power failure may take the last commits, a killed process never does
        (https://www.sqlite.org/pragma.html#pragma_synchronous).
        """

        def step() -> _T:
            with self._step() as deadline:
                while True:
                    opened = self._to_write(deadline)
                    opened.db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                    _patiently(deadline, opened.db.execute, "BEGIN IMMEDIATE")
                    with _transaction(opened.db):
                        # While we waited for our turn it may have been moved.
                        if self._place.is_here(opened.identity):
                            return action(opened.db)

        return self._in_time(step)

    def is_anothers(self) -> bool:
        """Return whether it is another user's file, which this one can only read."""
        with self._step():
            return self._place.path.exists() and self._place.is_anothers()

    def may_be_written(self) -> bool:
        """Return whether this user may write it; raise `StoreError` for one that it cannot make."""
        with self._step():
            if self._place.path.exists():
                return not self._place.is_anothers()
            if bar := self._place.bar_to_making():
                raise StoreError(
                    f"the store {self._place.path} is not there yet, and this user cannot make it "
                    f"in {bar}: run this as the user of the tasks, name another store, or check "
                    "the folder's permissions"
                )
            return True

    def close(self) -> None:
        """Close this process's connections; a later transaction opens a new one."""
        for process, thread in list(self._connections):
            if process == os.getpid():
                self._connections.pop((process, thread)).db.close()

    def _read(self, action: Callable[[Db], _T], deadline: float) -> _T:
        while True:
            try:
                before = self._unlogged()
                opened = self._opened(deadline)
            except FileNotFoundError:
                return _read_unmade(action)
            if opened is None:
                # A guest, and nothing in the log: the file alone is the whole store, if it still
                # was afterwards.
                answer = self._read_unlocked(action)
                if before is not None and before == self._unlogged():
                    return answer
                if time.monotonic() > deadline:
                    raise StoreUnavailableError(f"the store {self._place.path} is busy")
                continue
            if not opened.is_made and not self._becomes_made(opened, deadline):
                return _read_unmade(action)
            opened.db.execute("BEGIN")
            with _transaction(opened.db):
                return action(opened.db)

    def _becomes_made(self, opened: _Opened, deadline: float) -> bool:
        """Return whether the file has tables by now; bring those of version 0.1 up to date."""
        opened.is_made = schema.is_made(opened.db, self._place.path)
        if not opened.is_made and schema.tables(opened.db):
            self._make(opened, deadline)
        return opened.is_made

    def _to_write(self, deadline: float) -> _Opened:
        if not self._place.path.exists():
            self._place.make(deadline)
        opened = None if self._place.is_anothers() else self._opened(deadline)
        if opened is None or opened.is_guest:
            raise self._not_ours("written")
        if not opened.is_made:
            self._make(opened, deadline)
        return opened

    def _not_ours(self, done: str) -> StoreError:
        place = self._place
        return StoreError(
            f"the store {place.path} cannot be {done} by this user: it belongs to {place.owner()}."
            " Run as that user, or check the permissions: file (660), folder (2770) and group of"
            " a store that users share"
        )

    def _make(self, opened: _Opened, deadline: float) -> None:
        if opened.is_guest:
            raise self._not_ours("written")
        _patiently(deadline, opened.db.execute, "PRAGMA journal_mode = WAL")
        _patiently(deadline, opened.db.execute, "BEGIN IMMEDIATE")
        with _transaction(opened.db):
            if not schema.is_made(opened.db, self._place.path):
                schema.make(opened.db)
        opened.is_made = True
        opened.beside = self._place.beside()

    def _opened(self, deadline: float) -> _Opened | None:
        """Return this thread's connection, None if a guest is to read without; raise `OSError`."""
        me = os.getpid(), threading.get_ident()
        known = self._connections.get(me)
        try:
            here = self._place.identity(), self._place.is_anothers()
        except FileNotFoundError:
            here = None
        if known and here == (known.identity, known.is_guest):
            return known
        if known:
            self._connections.pop(me)
            self._part_from(known, deadline)
        is_guest = self._place.is_anothers()
        opened = self._open_as_guest(deadline) if is_guest else self._open("mode=rw", deadline)
        if opened:
            self._connections[me] = opened
        return opened

    def _open_as_guest(self, deadline: float) -> _Opened | None:
        if not self._place.has_log():
            return None
        try:
            opened = self._open("mode=ro&readonly_shm=1", deadline, is_guest=True)
        except sqlite3.OperationalError:
            # The log may just have gone, and SQLite made one of ours.
            if self._place.remove_own_log():
                return None
            if not self._place.is_readable():
                raise self._not_ours("read") from None
            raise StoreUnavailableError(
                f"the store {self._place.path} was left in the midst of its work: it can be read"
                f" again once {self._place.owner()} has"
            ) from None
        if self._place.remove_own_log():
            opened.db.close()
            return None
        return opened

    def _open(self, how: str, deadline: float, *, is_guest: bool = False) -> _Opened:
        # Should it be moved now, the next step finds another one here.
        identity = self._place.identity()
        db = _connect(self._place.path, how)
        try:
            is_made = _patiently(deadline, schema.is_made, db, self._place.path)
        except BaseException:
            db.close()
            raise
        return _Opened(db, identity, is_guest, is_made, self._place.beside())

    def _part_from(self, opened: _Opened, deadline: float) -> None:
        """Close a connection to a file that was moved, and leave it whole."""
        if opened.is_guest:
            opened.db.close()
            return
        with suppress(sqlite3.Error):
            opened.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        opened.db.close()
        with suppress(StoreUnavailableError), self._place.alone(deadline):
            self._place.set_aside(opened.beside)

    def _unlogged(self) -> tuple[int, ...] | None:
        """Return what changes if anybody writes; None if something is in the log."""
        file = self._place.path.stat()
        if self._place.has_log():
            return None
        return file.st_ino, file.st_size, file.st_mtime_ns

    def _read_unlocked(self, action: Callable[[Db], _T]) -> _T:
        with closing(_connect(self._place.path, "mode=ro&immutable=1")) as db:
            if not schema.is_made(db, self._place.path):
                if schema.tables(db):
                    raise self._not_ours("written")
                return _read_unmade(action)
            return action(db)

    def _in_time(self, step: Callable[[], _T]) -> _T:
        log = self._place.log_state()
        try:
            return _workers.start(step).result(self._timeout + _GRACE_SECONDS)
        except TimeoutError:
            # On a busy machine nobody is in time.
            others_write = log != self._place.log_state()
            kind = StoreBusyError if others_write else StoreUnavailableError
            raise kind(
                f"the store {self._place.path} did not answer within {self._timeout:g} s:"
                " see whether its disk hangs"
            ) from None

    @contextmanager
    def _step(self) -> Iterator[float]:
        log = self._place.log_state()
        try:
            deadline = time.monotonic() + self._timeout
            with within_sqlite(deadline):
                yield deadline
        except (sqlite3.Error, OSError) as error:
            # One that hangs within its transaction keeps the file busy too, for ever.
            others_write = log != self._place.log_state()
            raise refusal(self._place.path, error, others_write=others_write) from error


def _connect(path: Path, how: str) -> Db:
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=_TRY_SECONDS,
        isolation_level=None,
        # A thread may come by the connection of one that has ended, and close() by all.
        check_same_thread=False,
    )
    # Whoever may write to the file may write what is no text.
    db.text_factory = partial(str, encoding="utf-8", errors="replace")
    return db


def _read_unmade(action: Callable[[Db], _T]) -> _T:
    with closing(schema.unmade()) as db:
        return action(db)


def _patiently(
    deadline: float, action: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Do *action*, again and again while the file is busy, until the *deadline*."""
    while True:
        try:
            return action(*args, **kwargs)
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            # Changing the journal mode fails without any waiting of SQLite's own.
            time.sleep(0.001)


@contextmanager
def _transaction(db: Db) -> Iterator[None]:
    """Commit the transaction that was begun, or roll it back after an exception."""
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back by itself.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
