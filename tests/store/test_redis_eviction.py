"""What is left when Redis evicts keys, as it does under an eviction policy."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from flowgauge.metrics import DAG_LOGS
from flowgauge.store import Count, Lease, NewEntry, Store, StoreUnavailableError, open_store
from flowgauge.store.log_calls import Logged, arrived
from stack.redis import client_at, redis_server
from tests.counting import defer, pairs

_IDLE = 20
_IDS = [f"e{number}" for number in range(4)]
_SHARED = ["line", "leased", "waiting", "aside", "places"]
_KEYS = [f"entry:{entry_id}" for entry_id in _IDS] + [f"outbox:{name}" for name in _SHARED]


@pytest.fixture
def client(own_redis: str) -> Iterator[Any]:
    """Deletes keys as an eviction would."""
    with closing(client_at(own_redis)) as found:
        yield found


@pytest.fixture
def filled(own_redis: str, client: Any) -> Iterator[Store]:
    """A store with two entries in line, one claimed, one set aside."""
    with closing(open_store(own_redis, timeout_seconds=20)) as store:
        _fill(store, client)
        yield store


def _fill(store: Store, client: Any) -> None:
    client.flushall()
    for entry_id in _IDS:
        defer(store, Logged("etl", "load", 1.0, reason="down"), entry_id, entry_id)
    store.outbox.claim(Lease("me", 0.001), 1)
    store.outbox.set_aside("e3", "rejected", "no")


def _evict(client: Any, *names: str) -> None:
    client.delete(*(f"{{flowgauge}}:{name}" for name in names))


def _send_all(store: Store) -> list[str]:
    """Settle what can be claimed, and return its bodies."""
    sent = []
    idle = 0
    # A lease may have to run out first.
    while idle < _IDLE:
        claimed = store.outbox.claim(Lease("me", 60), 2)
        idle = 0 if claimed else idle + 1
        for entry in claimed:
            store.outbox.settle(entry.entry_id, arrived(Logged("etl", "load", 0)))
            sent.append(entry.body)
    return sent


def test_a_payload_that_was_evicted_is_set_aside_with_the_reason(
    filled: Store, client: Any
) -> None:
    """It is not sent, not waited for, and told until an operator drops it."""
    _evict(client, "entry:e0", "entry:e1")
    state = filled.outbox.state()
    assert (state.entries, state.poison) == (1, 3)
    assert _send_all(filled) == ["e2"]
    lost = {entry.entry_id: entry.poison or "" for entry in filled.outbox.entries(10)}
    assert list(lost) == ["e0", "e1", "e3"]
    assert "evicted this payload" in lost["e0"]
    assert filled.outbox.retry() == ["e3"]
    assert filled.outbox.drop("e0", "e1") == ["e0", "e1"]
    assert (filled.outbox.state().entries, filled.outbox.state().poison) == (1, 0)


def test_a_lost_payload_that_is_put_in_again_is_whole_again(filled: Store, client: Any) -> None:
    """Whoever still has it, as the spool does, may put it in."""
    _evict(client, "entry:e0")
    filled.outbox.state()
    filled.outbox.put(NewEntry("e0", "etl", "load", "e0"))
    assert filled.outbox.state().poison == 1
    assert sorted(_send_all(filled)) == ["e0", "e1", "e2"]


def test_a_payload_that_arrived_counts_though_it_was_evicted(filled: Store, client: Any) -> None:
    """Its sender has it in memory, and settles it."""
    _evict(client, "entry:e0")
    filled.outbox.settle("e0", arrived(Logged("etl", "load", 0)))
    assert pairs(filled)[0].logs == 1


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(evicted=st.sets(st.sampled_from(_KEYS), min_size=1))
def test_whatever_is_evicted_nothing_fails_and_nothing_waits_for_ever(
    filled: Store, client: Any, evicted: set[str]
) -> None:
    """What is still known of by id and body is sent, once; the outbox is then empty."""
    _fill(filled, client)
    _evict(client, *evicted)
    known = {
        entry_id
        for entry_id, indexes in {
            "e0": {"outbox:leased", "outbox:waiting"},
            "e1": {"outbox:line", "outbox:waiting"},
            "e2": {"outbox:line", "outbox:waiting"},
        }.items()
        if indexes - evicted and f"entry:{entry_id}" not in evicted
    }
    filled.outbox.entries(10)
    filled.outbox.state()
    sent = _send_all(filled)
    assert sorted(sent) == sorted(known)
    state = filled.outbox.state()
    assert (state.entries, state.oldest) == (0, None)
    assert {entry.entry_id for entry in filled.outbox.entries(10)} <= set(_IDS) - known
    filled.outbox.retry()
    filled.outbox.drop(*_IDS)
    assert (filled.outbox.state().poison, filled.outbox.entries(10)) == (0, [])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    evicted=st.sets(
        st.sampled_from(
            [
                *("windows", "window:api", "grants:api", "queue:api", "leases:api"),
                *("owners:key", "seen:key", "free:key", 'counts:key:["api"]'),
            ]
        ),
        min_size=1,
    )
)
def test_a_rate_limit_that_was_evicted_in_part_goes_on(
    filled: Store, client: Any, evicted: set[str]
) -> None:
    """It is shown or not, but never fails, and its grants that are left go on to count."""
    client.flushall()
    for number in range(3):
        filled.windows.acquire("api", f"t{number}", 3, 600, 0)
    filled.windows.acquire("api", "waits", 3, 600, 0)
    _evict(client, *evicted)
    filled.windows.states()
    free = 3 if "grants:api" in evicted else 0
    granted = [filled.windows.acquire("api", f"new {n}", 3, 600, 0).granted for n in range(5)]
    assert sum(granted) <= free
    list(filled.counts.totals("key"))
    assert filled.windows.states()[0].key == "api"


def test_under_a_real_eviction_policy_the_outbox_works_on(folder: Path) -> None:
    """A Redis that is full of others' keys, and evicts any: what is not lost is sent."""
    with (
        redis_server(folder, "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-random") as url,
        closing(client_at(url)) as client,
        closing(open_store(url, timeout_seconds=20)) as store,
    ):
        for number in range(40):
            store.outbox.put(NewEntry(str(number), "etl", "load", "x" * 20_000))
        for number in range(40):
            client.set(f"others {number}", "y" * 60_000)
        assert client.info("stats")["evicted_keys"] > 0
        client.config_set("maxmemory", "0")
        store.counts.add(Count(DAG_LOGS, ("etl", "load")))
        sent = _send_all(store)
        assert store.outbox.state().entries == 0
        assert len(sent) == len(set(sent)) or set(sent) == {"x" * 20_000}
        assert all(entry.poison for entry in store.outbox.entries(100))


def test_a_redis_out_of_memory_says_so_and_keeps_what_it_has(folder: Path) -> None:
    """Without eviction a full Redis refuses, which a task answers by keeping the payload."""
    with (
        redis_server(folder, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as url,
        closing(open_store(url, timeout_seconds=20)) as store,
    ):
        put: list[str] = []

        def fill() -> None:
            for number in range(400):
                store.outbox.put(NewEntry(str(number), "etl", "load", "x" * 20_000))
                put.append(str(number))

        with pytest.raises(StoreUnavailableError, match="is out of memory"):
            fill()
        assert [entry.entry_id for entry in store.outbox.entries(400)] == put
