"""How a line of the log is written: for people, or for what collects lines.

Foreign texts, tracebacks among them, neither show a secret nor move the cursor.
"""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from flowgauge.redact import spell

__all__ = ["FORMATTERS"]

_BARE = frozenset('"= \t\n\r\\')


class _Text(logging.Formatter):
    """Time, level and message."""

    def format(self, record: logging.LogRecord) -> str:
        return spell(super().format(record))


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(dict(_fields(self, record)), ensure_ascii=False)


class _Logfmt(logging.Formatter):
    """`key=value` pairs, as Prometheus' own programs write them."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={_value(text)}" for key, text in _fields(self, record))


def _fields(formatter: logging.Formatter, record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    yield "time", datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    yield "level", record.levelname.lower().replace("warning", "warn")
    yield "source", record.name
    yield "msg", spell(record.getMessage())
    if record.exc_info:
        # A traceback of many lines is still one record.
        yield "error", spell(formatter.formatException(record.exc_info))


def _value(text: str) -> str:
    plain = text and text.isprintable() and not _BARE.intersection(text)
    return text if plain else json.dumps(text, ensure_ascii=False)


FORMATTERS = {
    "text": _Text("%(asctime)s %(levelname)s %(message)s"),
    "logfmt": _Logfmt(),
    "json": _Json(),
}
"""By the name that `--log.format` has for it."""
