"""The store in one SQLite file."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from flowgauge.redact import redact_url
from flowgauge.store.errors import StoreError
from flowgauge.store.sqlite.counts import SqliteCounts
from flowgauge.store.sqlite.file import SqliteFile
from flowgauge.store.sqlite.outbox import SqliteOutbox
from flowgauge.store.sqlite.windows import SqliteWindows

__all__ = ["SqliteStore"]

_SCHEME = "sqlite:///"


class SqliteStore:
    """A `Store` in the file that *url* names; *clock* gives Unix seconds."""

    def __init__(
        self, url: str, *, timeout_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        path = url.removeprefix(_SCHEME)
        if not url.startswith(_SCHEME) or not path:
            raise StoreError(f"{redact_url(url)} names no file: use sqlite:///path/to/file.db")
        file = SqliteFile(Path(path).expanduser(), timeout_seconds)
        self.windows = SqliteWindows(file, clock)
        self.counts = SqliteCounts(file, clock)
        self.outbox = SqliteOutbox(file, clock)
        self.close = file.close
        self._file = file

    def init(self, *roles: str) -> None:
        """See `Store.init`."""
        if roles:
            raise StoreError("a SQLite file knows no roles: see to its permissions")
        self.about()

    def about(self) -> str:
        """See `Store.about`."""
        with self._file.reading():
            return f"SQLite {sqlite3.sqlite_version}"
