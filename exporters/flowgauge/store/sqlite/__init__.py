"""The store in one SQLite file: the default, for everything that runs on one host."""

from flowgauge.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
