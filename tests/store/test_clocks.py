"""The store's own clock set back and forward, on every kind of store."""

from collections.abc import Iterator

import pytest

from flowgauge.store import Lease, NewEntry, Store
from tests.counting import rate_limit
from tests.store.clocks import Clock, clocked_store

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
Clocked = tuple[Store, Clock]


@pytest.fixture
def clocked(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocked]:
    """A store of each kind, on a clock that the test moves."""
    with clocked_store(store_url, monkeypatch) as clocked:
        yield clocked


def _put(store: Store, *names: str, lease: Lease | None = None) -> None:
    for name in names:
        store.outbox.put(NewEntry(name, "etl", "load", "{}"), lease=lease)


def _claimed(store: Store, owner: str, seconds: float = 60) -> list[str]:
    return [entry.entry_id for entry in store.outbox.claim(Lease(owner, seconds), 10)]


def test_a_claimed_entry_is_free_after_its_lease_though_the_clock_is_set_back(
    clocked: Clocked,
) -> None:
    """An hour back: whoever died with it holds it for its lease, not for an hour more."""
    store, clock = clocked
    _put(store, "claimed")
    assert _claimed(store, "dead") == ["claimed"]
    _put(store, "begun", lease=Lease("dead too", 20))
    clock.now -= _HOUR
    assert _claimed(store, "heir") == []
    clock.now += 20 * _SECOND
    assert _claimed(store, "heir", 10) == ["begun"]
    clock.now += 40 * _SECOND
    assert _claimed(store, "next") == ["claimed", "begun"]


def test_a_lease_of_a_time_when_the_clock_was_ahead_ends_in_time(clocked: Clocked) -> None:
    """An hour forward and back again."""
    store, clock = clocked
    clock.now += _HOUR
    _put(store, "a")
    assert _claimed(store, "dead") == ["a"]
    assert not store.outbox.is_due()
    clock.now -= _HOUR
    # Who asks first whether there is anything to claim is not turned away.
    assert store.outbox.is_due()
    assert _claimed(store, "heir", 5) == []
    assert not store.outbox.is_due()
    clock.now += 60 * _SECOND
    assert store.outbox.is_due()
    assert _claimed(store, "heir", 5) == ["a"]


def test_a_long_lease_is_not_cut_by_who_claims_for_less(clocked: Clocked) -> None:
    """While the clock runs on, an entry is its owner's to the end of the lease."""
    store, clock = clocked
    _put(store, "a")
    assert _claimed(store, "long", 600) == ["a"]
    for _ in range(5):
        clock.now += 119 * _SECOND
        assert _claimed(store, "short", 1) == []
    clock.now += 5 * _SECOND
    assert _claimed(store, "short", 1) == ["a"]


def test_a_grant_that_left_the_window_is_none(clocked: Clocked) -> None:
    """Who asks for it again takes a slot like everybody else; of a large window, too."""
    store, clock = clocked
    for max_calls, key in ((1, "small"), (100, "large")):
        for generation in ("old", "new"):
            clock.now += 10 * _SECOND
            for n in range(max_calls):
                ticket = f"{generation} {n}"
                assert store.windows.acquire(key, ticket, max_calls, 10, 0).granted
        for n in {0, max_calls // 2, max_calls - 1}:
            assert not store.windows.acquire(key, f"old {n}", max_calls, 10, 0).granted
            assert store.windows.acquire(key, f"new {n}", max_calls, 10, 0).granted


def test_a_grant_that_left_a_window_with_room_counts_anew(clocked: Clocked) -> None:
    """Nobody had to forget it: it is no grant all the same."""
    store, clock = clocked
    store.windows.acquire("api", "a", 2, 10, 0)
    clock.now += 10 * _SECOND
    assert store.windows.acquire("api", "a", 2, 10, 0).granted
    assert rate_limit(store, "api").calls == 2


@pytest.mark.parametrize("step", [-_HOUR, _HOUR])
def test_a_queue_moves_on_after_the_clock_was_set(clocked: Clocked, step: int) -> None:
    """An hour either way: within one window and the wait for a dead caller the living get in."""
    store, clock = clocked
    for ticket in ("a", "dead", "alive"):
        store.windows.acquire("api", ticket, 1, 10, 0)
    clock.now += step
    waited, granted = 0, False
    while not granted and waited < 20:
        granted = store.windows.acquire("api", "alive", 1, 10, 1 + waited).granted
        clock.now += _SECOND
        waited += 1
    assert granted
    assert waited <= 12


@pytest.mark.parametrize("step", [-_HOUR, _HOUR])
def test_the_mirror_gets_its_turn_after_the_clock_was_set(clocked: Clocked, step: int) -> None:
    """Set back, the next turn is not an hour away."""
    store, clock = clocked
    store.windows.acquire("api", "a", 1, 10, 0)
    assert store.windows.take_mirror_turn("api", 5)
    clock.now += step
    assert store.windows.take_mirror_turn("api", 5)
    assert not store.windows.take_mirror_turn("api", 5)
