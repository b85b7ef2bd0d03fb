"""A step is one round trip: what a store that is far away costs a task."""

from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from flowgauge.metrics import DAG_LOGS
from flowgauge.store import Count, Lease, NewEntry, Store, open_store
from stack.process import LOOPBACK
from stack.proxy import proxy

_COUNTS = (Count(DAG_LOGS, ("etl", "load")),)
_STEPS: dict[str, Callable[[Store], object]] = {
    "acquire": lambda store: store.windows.acquire("api", "a", 1, 600, 0),
    "give_up": lambda store: store.windows.give_up("api", "a", 1),
    "reset": lambda store: store.windows.reset("api"),
    "set_limit": lambda store: store.windows.set_limit("api", 1, 600),
    "take_mirror_turn": lambda store: store.windows.take_mirror_turn("api", 5),
    "mirror_written": lambda store: store.windows.mirror_written("api"),
    "mirror_gone": lambda store: store.windows.mirror_gone("api"),
    "add": lambda store: store.counts.add(*_COUNTS),
    "put": lambda store: store.outbox.put(NewEntry("id", "etl", "load", "{}"), _COUNTS),
    "claim": lambda store: store.outbox.claim(Lease("me", 60), 10),
    "is_due": lambda store: store.outbox.is_due(),
    "release": lambda store: store.outbox.release("id", "me", "timeout", _COUNTS),
    "set_aside": lambda store: store.outbox.set_aside("id", "rejected", "no", _COUNTS),
    "retry": lambda store: store.outbox.retry("id"),
    "settle": lambda store: store.outbox.settle("id", _COUNTS),
    "drop": lambda store: store.outbox.drop("id"),
    "state": lambda store: store.outbox.state(),
}


@pytest.mark.parametrize("store_url", ["redis", "postgresql"], indirect=True)
def test_a_step_is_one_round_trip(store_url: str) -> None:
    """Once a process is connected; the first step of all may look whether the store is there."""
    port = urlsplit(store_url).port
    assert port
    with (
        proxy(port) as way,
        closing(
            open_store(
                store_url.replace(f"{LOOPBACK}:{port}", f"{LOOPBACK}:{way.port}"),
                timeout_seconds=30,
            )
        ) as store,
    ):
        trips = {}
        for name, step in _STEPS.items():
            step(store)
            before = way.round_trips
            step(store)
            trips[name] = way.round_trips - before
    assert trips == dict.fromkeys(_STEPS, 1)
