"""A step whose answer comes too late, asked for again: what it did, it did once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from flowgauge.metrics import DAG_LOGS
from flowgauge.store import Count, Lease, NewEntry, Store, StoreUnavailableError, open_store
from stack.process import stopped, wait_for
from stack.redis import client_at, client_of
from tests.counting import pairs, rate_limit

_COUNTS = (Count(DAG_LOGS, ("etl", "load")),)
_LONG = 600
_Step = Callable[[Store], object]


def _acquire(store: Store) -> object:
    return store.windows.acquire("api", "late", 2, _LONG, 0)


def _wait_in_line(store: Store) -> object:
    return store.windows.acquire("full", "late", 1, _LONG, 0)


_STEPS: dict[str, _Step] = {
    "granted": _acquire,
    "refused": _wait_in_line,
    "put": lambda store: store.outbox.put(NewEntry("new", "etl", "load", "{}"), _COUNTS),
    "settle": lambda store: store.outbox.settle("settled", _COUNTS),
    "release": lambda store: store.outbox.release("held", "me", "timeout", _COUNTS),
    "set_aside": lambda store: store.outbox.set_aside("bad", "rejected", "no", _COUNTS),
}
"""What callers repeat, or may, after a time-out."""


def _prepare(store: Store) -> None:
    store.windows.acquire("full", "holder", 1, _LONG, 0)
    for entry_id in ("settled", "held", "bad"):
        entry = NewEntry(entry_id, "etl", "load", "{}")
        store.outbox.put(entry, lease=Lease("me", _LONG))
    # Redis is to know the scripts: who is told that it does not has done nothing.
    store.outbox.settle("unknown")
    store.outbox.release("unknown", "me", "timeout")
    store.outbox.set_aside("unknown", "rejected", "no")


def _state(store: Store) -> object:
    """Return all that is in the store but times."""
    logs = sum(pair.logs for pair in pairs(store))
    limits = [rate_limit(store, key) for key in ("api", "full") if _is_known(store, key)]
    entries = [(each.entry_id, each.attempts, each.poison) for each in store.outbox.entries(9)]
    return logs, limits, entries, store.outbox.state().entries


def _is_known(store: Store, key: str) -> bool:
    return key in {state.key for state in store.windows.states()}


def _answers(store: Store) -> bool:
    try:
        store.windows.states()
    except StoreUnavailableError:
        return False
    return True


@contextmanager
def _hanging(store_url: str, request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the server that has the store hang until the block ends."""
    with ExitStack() as stack:
        if store_url.startswith("postgresql"):
            pids = request.getfixturevalue("own_postgres").pids
        elif store_url.startswith("redis+cluster"):
            cluster = request.getfixturevalue("own_cluster")
            # Nor do the others take it for dead, on a busy machine.
            for port in cluster.servers:
                node = stack.enter_context(closing(client_of(port)))
                known = node.config_get("cluster-node-timeout")
                node.config_set("cluster-node-timeout", 60_000)
                stack.callback(node.config_set, *known.popitem())
            pids = [cluster.servers[cluster.owner].pid]
        else:
            client = stack.enter_context(closing(client_at(store_url)))
            pids = [int(client.info("server")["process_id"])]
        stack.enter_context(stopped(*pids))
        yield


@pytest.mark.parametrize("step", _STEPS)
@pytest.mark.parametrize("store_url", ["redis", "redis+cluster", "postgresql"], indirect=True)
def test_a_step_that_was_done_too_late_is_not_done_again(
    step: str, store: Store, store_url: str, request: pytest.FixtureRequest
) -> None:
    """A server that hangs does it once it goes on; whoever gave it up asks again and adds none."""
    _prepare(store)
    before = _state(store)
    with closing(open_store(store_url, timeout_seconds=0.3)) as hasty:
        wait_for(lambda: _answers(hasty), "it is connected, though the machine be busy")
        with _hanging(store_url, request), pytest.raises(StoreUnavailableError):
            _STEPS[step](hasty)
    wait_for(lambda: _state(store) != before, "the step is done, too late")
    after = _state(store)
    _STEPS[step](store)
    assert _state(store) == after
