"""The store in one SQLite file: the default, for everything that runs on one host."""

from flowgauge.store.sqlite.engine import SqliteEngine, path_of
from flowgauge.store.sqlite.recovery import Recovered, recover

__all__ = ["Recovered", "SqliteEngine", "path_of", "recover"]
