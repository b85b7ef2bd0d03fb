"""What the store says."""

from contextlib import closing

from flowgauge.compatibility import remark
from flowgauge.redact import redact_url
from flowgauge.store import open_store

__all__ = ["ask_store"]

_SECONDS = 5.0


def ask_store(url: str) -> str:
    """Read the store at *url* and return what it is and holds; raise `StoreError`."""
    with closing(open_store(url, timeout_seconds=_SECONDS)) as store:
        about, outbox = store.about(), store.outbox.state()
    name, _, version = about.partition(" ")
    return (
        f"{redact_url(url)} answers, {about}{remark(name.lower(), version)}; "
        f"payloads waiting in the outbox: {outbox.entries}, refused for good: {outbox.poison}"
    )
