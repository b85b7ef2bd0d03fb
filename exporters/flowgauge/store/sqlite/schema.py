"""The tables of a store, and whether a database has them."""

import sqlite3
from pathlib import Path

from flowgauge.store.errors import StoreError

__all__ = ["is_made", "make", "tables", "unmade"]

# A file that version 0.1 made keeps its version, so that 0.1 may go on using it.
_VERSION_0_1, _VERSION = 1, 2
_SCHEMA = Path(__file__).with_name("schema.sql")
_SHARED_WITH_0_1 = {"windows", "grants", "tickets", "outbox"}


def is_made(db: sqlite3.Connection, path: Path) -> bool:
    """Return whether the tables are there; raise `StoreError` if it is another's database."""
    version = _version(db)
    found = tables(db)
    if found and not found >= _SHARED_WITH_0_1:
        raise StoreError(
            f"the store {path} is another program's database, with tables such as"
            f" {min(found)}: name a file of its own"
        )
    if version not in (0, _VERSION_0_1, _VERSION):
        raise StoreError(
            f"the store {path} has schema version {version}, this flowgauge knows"
            f" {_VERSION}: upgrade flowgauge, or name another file"
        )
    return bool(version) and "counts" in found


def make(db: sqlite3.Connection) -> None:
    """Make the tables that are not there, within a transaction."""
    statement = ""
    for line in _SCHEMA.read_text().splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
    if _version(db) != _VERSION_0_1:
        db.execute(f"PRAGMA user_version = {_VERSION}")


def unmade() -> sqlite3.Connection:
    """Return what a file holds that nobody has written to yet."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    make(db)
    return db


def tables(db: sqlite3.Connection) -> set[str]:
    """Return the names of the tables."""
    rows = db.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return {name for (name,) in rows}


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version
