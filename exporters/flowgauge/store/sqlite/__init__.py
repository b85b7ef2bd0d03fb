"""The store in one SQLite file: the default, for everything that runs on one host."""

from flowgauge.store.sqlite.engine import SqliteEngine

__all__ = ["SqliteEngine"]
