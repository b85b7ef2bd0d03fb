"""The store in one SQLite file: the default, for everything that runs on one host."""

from flowgauge.store.sqlite.engine import SqliteEngine, path_of

__all__ = ["SqliteEngine", "path_of"]
