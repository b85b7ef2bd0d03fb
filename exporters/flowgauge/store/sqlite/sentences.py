"""What SQLite and the file system say, in sentences that name the cure."""

import sqlite3
from pathlib import Path

from flowgauge.store.errors import StoreBusyError, StoreError, StoreUnavailableError

__all__ = ["primary_code", "refusal"]

_RECOVER = "run `flowgauge store recover`, which saves what is readable"
_PERMISSIONS = "check the permissions of the file and its folder"
# The class says whether the store may answer later.
_SENTENCES: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreUnavailableError, "is busy"),
    sqlite3.SQLITE_LOCKED: (StoreUnavailableError, "is busy"),
    sqlite3.SQLITE_FULL: (StoreUnavailableError, "cannot be written: the disk is full"),
    sqlite3.SQLITE_IOERR: (
        StoreUnavailableError,
        "cannot be read or written: the disk reports an error",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        StoreError,
        "cannot be opened: check the folder and its permissions",
    ),
    sqlite3.SQLITE_READONLY: (StoreError, f"cannot be written: {_PERMISSIONS}"),
    sqlite3.SQLITE_PERM: (StoreError, f"cannot be written: {_PERMISSIONS}"),
    sqlite3.SQLITE_NOTADB: (
        StoreError,
        f"is not a SQLite database: name another file or, if it is a damaged store, {_RECOVER}",
    ),
    sqlite3.SQLITE_CORRUPT: (StoreError, f"is damaged: {_RECOVER}"),
}


def refusal(
    path: Path, error: sqlite3.Error | OSError, *, others_write: bool = False
) -> StoreError:
    """Return what is wrong with the store at *path*, of which others may be the reason."""
    if isinstance(error, OSError):
        return StoreError(
            f"the store {path} cannot be opened: {error.strerror}: {error.filename}:"
            " check the folder and its permissions"
        )
    if path.is_dir():
        return StoreError(f"the store {path} is a folder: name a file in it")
    kind, sentence = _SENTENCES.get(primary_code(error), (StoreError, f"failed: {error}"))
    if others_write and primary_code(error) == sqlite3.SQLITE_BUSY:
        kind = StoreBusyError
    return kind(f"the store {path} {sentence}")


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's result code without the extension in its upper bytes."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
