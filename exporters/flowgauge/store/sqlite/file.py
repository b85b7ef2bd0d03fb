"""One SQLite file shared by many threads, forks and processes of one host."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowgauge.store.errors import StoreError, StoreUnavailableError

__all__ = ["SqliteFile"]

# A file that version 0.1 made keeps its version, so that 0.1 may go on using it.
_VERSION_0_1, _SCHEMA_VERSION = 1, 2
_SCHEMA = Path(__file__).with_name("schema.sql")

# SQLite itself waits longer and longer between its tries for a lock, up to 0.1 s: among many
# writers that is too few tries within the time-out. So it waits this long, and is asked again.
_TRY_SECONDS = 0.01

# The store may answer later; everything else stays wrong until somebody repairs it.
_TRANSIENT = {
    sqlite3.SQLITE_BUSY: "is busy",
    sqlite3.SQLITE_LOCKED: "is busy",
    sqlite3.SQLITE_FULL: "cannot be written: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
}
_PERMANENT = {
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check the folder and its permissions",
    sqlite3.SQLITE_READONLY: "cannot be written: check the permissions of the file and its folder",
    sqlite3.SQLITE_PERM: "cannot be written: check the permissions of the file and its folder",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database: move it away or name another file",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a backup or move it away",
}


class SqliteFile:
    """Transactions on *path*, which is made on first use.

    Every thread of every process gets a connection of its own. A forked child must neither use nor
    close its parent's (https://www.sqlite.org/howtocorrupt.html, section 2.6), so it opens a new
    one. Network file systems are not supported: SQLite's WAL mode needs shared memory.
    """

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        self._path = path
        self._timeout = timeout_seconds
        # By process and thread. A parent's connections stay here in a forked child, unused: letting
        # go of them would close them.
        self._connections: dict[tuple[int, int], sqlite3.Connection] = {}

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read one consistent state of the file."""
        with self._sentences():
            connection = self._connection()
            connection.execute("BEGIN")
            with _transaction(connection):
                yield connection

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Read and write, alone; with *durable*, what was written survives a power failure.

        Without it, a power failure may take the last commits, a killed process never does
        (https://www.sqlite.org/pragma.html#pragma_synchronous).
        """
        with self._sentences():
            connection = self._connection()
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._patiently(connection, "BEGIN IMMEDIATE")
            with _transaction(connection):
                yield connection

    def close(self) -> None:
        """Close this process's connections; a later transaction opens a new one."""
        for process, thread in list(self._connections):
            if process == os.getpid():
                self._connections.pop((process, thread)).close()

    def _connection(self) -> sqlite3.Connection:
        me = os.getpid(), threading.get_ident()
        if me not in self._connections:
            self._connections[me] = self._open()
        return self._connections[me]

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the store {self._path} cannot be made: {error.strerror}: {error.filename}"
            ) from None
        connection = sqlite3.connect(
            self._path,
            timeout=_TRY_SECONDS,
            isolation_level=None,
            # A thread may come by the connection of one that has ended, and close() by all.
            check_same_thread=False,
        )
        self._patiently(connection, "PRAGMA journal_mode = WAL")
        if not self._is_current(connection):
            self._make_schema(connection)
        return connection

    def _patiently(self, connection: sqlite3.Connection, statement: str) -> None:
        """Execute *statement*, again and again while the file is busy, within the time-out."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                connection.execute(statement)
            except sqlite3.OperationalError as error:
                if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                # Changing the journal mode fails without any waiting of SQLite's own.
                time.sleep(0.001)
            else:
                return

    def _make_schema(self, connection: sqlite3.Connection) -> None:
        self._patiently(connection, "BEGIN IMMEDIATE")
        with _transaction(connection):
            if self._is_current(connection):
                return
            for statement in _SCHEMA.read_text().split(";\n"):
                connection.execute(statement)
            if self._version(connection) != _VERSION_0_1:
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def _is_current(self, connection: sqlite3.Connection) -> bool:
        version = self._version(connection)
        if version not in (0, _VERSION_0_1, _SCHEMA_VERSION):
            raise StoreError(
                f"the store {self._path} has schema version {version}, this flowgauge knows"
                f" {_SCHEMA_VERSION}: upgrade flowgauge, or name another file"
            )
        rows = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'counts'").fetchone()
        return bool(version and rows)

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return version

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = _primary_code(error)
            if code in _TRANSIENT:
                raise StoreUnavailableError(f"the store {self._path} {_TRANSIENT[code]}") from error
            sentence = _PERMANENT.get(code, f"failed: {error}")
            raise StoreError(f"the store {self._path} {sentence}") from error


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit the transaction that was begun, or roll it back after an exception."""
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's result code without the extension in its upper bytes."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
