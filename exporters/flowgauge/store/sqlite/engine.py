"""The steps of a store in one SQLite file."""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowgauge.loading import loading
from flowgauge.redact import redact_url
from flowgauge.store.engine import DURABLE_STEPS, is_first_page, microseconds
from flowgauge.store.errors import StoreError
from flowgauge.store.sqlite import counts, outbox, windows
from flowgauge.store.sqlite.file import SqliteFile

if TYPE_CHECKING:
    from flowgauge.store.risks import Risk

__all__ = ["SqliteEngine", "path_of"]

# In bytes, in all file systems that matter.
_LONGEST_NAME = 255
_SCHEME = "sqlite:///"
_READING: dict[str, Callable[..., Any]] = {
    "windows": windows.states,
    "page": counts.page,
    "due": outbox.due,
    "entries": outbox.entries,
    "outbox_state": outbox.state,
}
_WRITING: dict[str, Callable[..., Any]] = {
    "acquire": windows.acquire,
    "give_up": windows.give_up,
    "reset_window": windows.reset,
    "set_limit": windows.set_limit,
    "take_mirror_turn": windows.take_mirror_turn,
    "mirror_written": windows.mirror_written,
    "mirror_gone": windows.mirror_gone,
    "add": counts.add,
    "fold": counts.fold,
    "put": outbox.put,
    "claim": outbox.claim,
    "settle": outbox.settle,
    "release": outbox.release,
    "set_aside": outbox.set_aside,
    "retry": outbox.retry,
    "drop": outbox.drop,
}


def path_of(url: str) -> Path:
    """Return the file that *url* names; raise `StoreError`."""
    path = url.removeprefix(_SCHEME)
    if "?" in path:
        raise StoreError(f"{redact_url(url)} has options: leave them out, a SQLite store has none")
    with suppress(RuntimeError):  # ~ of a user who has no home
        file = Path(path).expanduser()
        longest = max(len(os.fsencode(part)) for part in (*file.parts, ""))
        if url.startswith(_SCHEME) and file.name and longest <= _LONGEST_NAME:
            return file
    raise StoreError(f"{redact_url(url)} names no file: use sqlite:///path/to/file.db")


class SqliteEngine:
    """The `Engine` of the file that *url* names; every step is one transaction.

    *clock* gives Unix seconds.
    """

    def __init__(
        self, url: str, *, timeout_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path_of(url)
        self._file = SqliteFile(self._path, timeout_seconds)
        self._clock = clock
        self.close = self._file.close

    def step(self, name: str, /, *arguments: str | int) -> Any:
        """See `Engine`; what version 0.1 counted is taken over before counts are read."""
        if is_first_page(name, *arguments):
            self._take_over()
        if name in _READING:
            return self._file.read(lambda db: _READING[name](db, self._now(), *arguments))
        if name == "fold" and self._file.is_anothers():
            return False  # An exporter that can only read leaves it to those who write.
        texts = tuple(map(_encodable, arguments))
        # The time is that of our turn: it passed while others wrote.
        return self._file.write(
            lambda db: _WRITING[name](db, self._now(), *texts), durable=name in DURABLE_STEPS
        )

    def about(self) -> str:
        """See `Engine.about`."""
        said = self._file.read(lambda _: f"SQLite {sqlite3.sqlite_version}")
        may_write = self._file.may_be_written()
        return said if may_write else f"{said}, which this user can only read, as tasks cannot do"

    def risks(self) -> "Sequence[Risk]":
        """See `Engine.risks`."""
        # No task asks.
        from flowgauge.store.sqlite.risks import file_risks  # noqa: PLC0415

        return file_risks(self._path)

    def init(self, *roles: str) -> None:
        """See `Engine.init`."""
        if roles:
            raise StoreError("a SQLite file knows no roles: see to its permissions")
        self._file.write(lambda _: None)
        self._take_over()

    def _take_over(self) -> None:
        # No task reads counts.
        with loading():
            from flowgauge.store.sqlite.from_0_1 import counted_by_0_1, take_over  # noqa: PLC0415

        while self._file.read(counted_by_0_1):
            self._file.write(lambda db: take_over(db, self._now()))

    def _now(self) -> int:
        return microseconds(self._clock())


def _encodable(value: str | int) -> str | int:
    # SQLite keeps no half of a character, which may come from a user or from MLflow.
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
