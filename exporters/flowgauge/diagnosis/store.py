"""What the store says."""

from contextlib import closing

from flowgauge.compatibility import remark
from flowgauge.redact import redact_url
from flowgauge.store import open_store
from flowgauge.store.engine import engine

__all__ = ["ask_store"]

_SECONDS = 5.0
_NAMES = {"sqlite": "SQLite", "redis": "Redis", "valkey": "Valkey"}


def ask_store(url: str) -> str:
    """Read the store at *url* and return what it is and holds; raise `StoreError`."""
    with closing(open_store(url, timeout_seconds=_SECONDS)) as store:
        outbox = store.outbox_state()
    kind, version = engine(url, timeout_seconds=_SECONDS)
    known = f"{version}{remark(kind, version)}" if version else "(it does not say its version)"
    return (
        f"{redact_url(url)} answers, {_NAMES.get(kind, kind)} {known}; payloads waiting in the "
        f"outbox: {outbox.entries}, refused for good: {outbox.poison}"
    )
