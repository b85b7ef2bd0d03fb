"""The window and its queue, over every kind of store."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from flowgauge.metrics import RATE_LIMIT_FAIL_OPEN
from flowgauge.store import Count, Grant, Store
from tests.counting import RateLimitState, rate_limit

_LONG = 60.0


def _state(store: Store, key: str = "api") -> RateLimitState:
    return rate_limit(store, key)


def test_grants_up_to_the_limit_and_then_tells_the_wait(store: Store) -> None:
    """A window of three grants three calls at once and tells the fourth when the first expires."""
    grants = [store.windows.acquire("api", f"t{n}", 3, _LONG, 0) for n in range(4)]
    assert [grant.granted for grant in grants] == [True, True, True, False]
    assert _LONG - 10 < grants[3].wait_seconds <= _LONG


def test_a_limit_without_measure_is_one_that_a_store_can_keep(store: Store) -> None:
    """What a setting says must not fail the task: who writes so means without end."""
    for n in range(2):
        assert store.windows.acquire("api", f"t{n}", 10**30, 1e308, 0).granted
    store.windows.set_limit("api", 1, 10.0**18)
    assert store.windows.acquire("api", "late", 10**30, 1, 0).wait_seconds > 1e8
    store.windows.set_limit("api", 10**30, 1e308)
    assert store.windows.acquire("api", "late", 1, 1, 1).granted
    assert _state(store).max_calls >= 10**12


def test_the_told_wait_is_exact(store: Store) -> None:
    """Who comes back after the wait is granted, and was refused until then."""
    store.windows.acquire("api", "first", 1, 0.3, 0)
    wait = store.windows.acquire("api", "second", 1, 0.3, 0).wait_seconds
    started = time.monotonic()
    while not (grant := store.windows.acquire("api", "second", 1, 0.3, 0.1)).granted:
        assert grant.wait_seconds <= wait
        time.sleep(0.01)
    assert time.monotonic() - started >= wait - 0.05


def test_serves_in_the_order_of_the_first_attempts(store: Store) -> None:
    """When a slot opens, a later caller is refused as long as an earlier one is expected."""
    store.windows.acquire("api", "holder", 1, 0.2, 0)
    early = store.windows.acquire("api", "early", 1, 0.2, 0)
    late = store.windows.acquire("api", "late", 1, 0.2, 0)
    assert late.wait_seconds > early.wait_seconds
    time.sleep(early.wait_seconds)
    assert not store.windows.acquire("api", "late", 1, 0.2, 0.2).granted
    assert store.windows.acquire("api", "early", 1, 0.2, 0.2).granted
    assert _state(store).waiting == 1


def test_the_queue_wraps_round_into_later_windows(store: Store) -> None:
    """With two slots, the third caller in the queue is told the window after next."""
    for n in range(2):
        store.windows.acquire("api", f"holder{n}", 2, _LONG, 0)
    waits = [store.windows.acquire("api", f"w{n}", 2, _LONG, 0).wait_seconds for n in range(4)]
    assert waits[2] == pytest.approx(waits[0] + _LONG, abs=5)
    assert waits[3] == pytest.approx(waits[1] + _LONG, abs=5)


def test_who_gives_up_frees_the_place(store: Store) -> None:
    """A caller that gives up no longer holds up the ones behind, and its wait is counted."""
    store.windows.acquire("api", "holder", 1, _LONG, 0)
    store.windows.acquire("api", "quitter", 1, _LONG, 0)
    behind = store.windows.acquire("api", "behind", 1, _LONG, 0)
    store.windows.give_up("api", "quitter", 2.5)
    assert (
        store.windows.acquire("api", "behind", 1, _LONG, 1).wait_seconds < behind.wait_seconds - 50
    )
    assert _state(store).wait_seconds == pytest.approx(2.5)


def test_counts_calls_hits_and_waits(store: Store) -> None:
    """Grants count as calls, first refusals as hits, and what a granted call waited is added up."""
    store.windows.acquire("api", "a", 1, 0.2, 0)
    wait = store.windows.acquire("api", "b", 1, 0.2, 0).wait_seconds
    store.windows.acquire("api", "b", 1, 0.2, 0.001)
    time.sleep(wait)
    assert store.windows.acquire("api", "b", 1, 0.2, 0.25).granted
    state = _state(store)
    assert (state.calls, state.hits) == (2, 1)
    assert state.wait_seconds == pytest.approx(0.25)


def test_who_asks_again_keeps_its_grant_and_its_place(store: Store) -> None:
    """Whose answer got lost asks once more, as if for the first time: it is counted once."""
    for _ in range(2):
        assert store.windows.acquire("api", "granted", 1, _LONG, 0).granted
        assert not store.windows.acquire("api", "early", 1, _LONG, 0).granted
        assert not store.windows.acquire("api", "late", 1, _LONG, 0).granted
    state = _state(store)
    assert (state.calls, state.window_calls, state.hits, state.waiting) == (1, 1, 2, 2)
    store.windows.reset("api")
    assert not store.windows.acquire("api", "late", 1, _LONG, 1).granted
    assert store.windows.acquire("api", "early", 1, _LONG, 1).granted


def test_a_grant_that_is_asked_for_again_is_made_anew(store: Store) -> None:
    """Its caller goes ahead only then: its slot opens a window later."""
    store.windows.acquire("api", "a", 2, _LONG, 0)
    store.windows.acquire("api", "b", 2, _LONG, 0)
    first = store.windows.acquire("api", "c", 2, _LONG, 0).wait_seconds
    time.sleep(0.2)
    assert store.windows.acquire("api", "a", 2, _LONG, 0).granted
    assert store.windows.acquire("api", "b", 2, _LONG, 0).granted
    again = store.windows.acquire("api", "c", 2, _LONG, 0.2).wait_seconds
    assert again > first - 0.2 + 0.1


def test_a_large_window_is_as_exact(store: Store) -> None:
    """However an engine keeps hundreds of grants."""
    for n in range(150):
        assert store.windows.acquire("api", f"t{n}", 150, _LONG, 0).granted
    assert not store.windows.acquire("api", "one more", 150, _LONG, 0).granted
    for n in (0, 70, 149, 0):
        assert store.windows.acquire("api", f"t{n}", 150, _LONG, 0).granted
    state = _state(store)
    assert (state.calls, state.window_calls, state.hits, state.waiting) == (150, 150, 1, 1)
    store.windows.give_up("api", "one more", 1)
    assert store.windows.acquire("api", "one more", 151, _LONG, 0).granted
    assert _state(store).window_calls == 151
    store.windows.reset("api")
    assert _state(store).window_calls == 0


def test_shows_how_full_the_window_is(store: Store) -> None:
    """The state tells the limit, the calls in the window and the callers waiting."""
    for n in range(5):
        store.windows.acquire("api", f"t{n}", 3, _LONG, 0)
    state = _state(store)
    assert (state.max_calls, state.window_seconds) == (3, _LONG)
    assert (state.window_calls, state.waiting) == (3, 2)


def test_calls_leave_the_shown_window_without_another_call(store: Store) -> None:
    """What is older than the window is not shown, even if nobody calls any more."""
    store.windows.acquire("api", "a", 3, 0.1, 0)
    deadline = time.monotonic() + 10
    while _state(store).window_calls and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _state(store).window_calls == 0


def test_the_limit_may_change_while_in_use(store: Store) -> None:
    """A raised limit takes effect at the next attempt, a lowered one refuses until it is met."""
    for n in range(2):
        store.windows.acquire("api", f"a{n}", 2, _LONG, 0)
    assert not store.windows.acquire("api", "b", 2, _LONG, 0).granted
    assert store.windows.acquire("api", "b", 3, _LONG, 1).granted
    assert not store.windows.acquire("api", "c", 1, _LONG, 0).granted
    assert _state(store).max_calls == 1


def test_a_shorter_window_takes_effect_at_once(store: Store) -> None:
    """Calls that a shortened window no longer covers are forgotten."""
    store.windows.acquire("api", "a", 1, _LONG, 0)
    time.sleep(0.05)
    assert store.windows.acquire("api", "b", 1, 0.01, 0).granted


def test_a_limit_that_is_set_goes_before_what_callers_say(store: Store) -> None:
    """Raised, lowered, for who calls and who waits, until it is unset."""
    assert store.windows.acquire("api", "a", 1, _LONG, 0).granted
    assert not store.windows.acquire("api", "b", 1, _LONG, 0).granted
    store.windows.set_limit("api", 2, _LONG / 2)
    assert store.windows.acquire("api", "b", 1, _LONG, 1).granted
    refused = store.windows.acquire("api", "c", 9, _LONG, 0)
    assert _LONG / 2 - 60 < refused.wait_seconds <= _LONG / 2
    state = _state(store)
    assert (state.max_calls, state.window_seconds, state.is_set) == (2, _LONG / 2, True)
    store.windows.reset("api")
    assert _state(store).is_set
    store.windows.unset_limit("api")
    assert store.windows.acquire("api", "c", 9, _LONG, 1).granted
    assert (_state(store).max_calls, _state(store).is_set) == (9, False)


def test_a_limit_may_be_set_before_anybody_calls(store: Store) -> None:
    """It is shown, and holds from the first call on; unsetting one that nobody set does nothing."""
    store.windows.unset_limit("other")
    store.windows.set_limit("api", 1, _LONG)
    assert [(each.key, each.is_set) for each in store.windows.states()] == [("api", True)]
    assert store.windows.acquire("api", "a", 5, 1, 0).granted
    assert not store.windows.acquire("api", "b", 5, 1, 0).granted


def test_keys_are_independent(store: Store) -> None:
    """A full window leaves another key alone, whatever characters the keys have."""
    for key in ("api", "api:2", "ünïcode {x}", "a b"):
        assert store.windows.acquire(key, "t", 1, _LONG, 0) == Grant(0)
    assert {window.key for window in store.windows.states()} == {
        "api",
        "api:2",
        "ünïcode {x}",
        "a b",
    }


def test_hundreds_of_rate_limits_are_all_shown_once(store: Store) -> None:
    """However an engine reads them, each is there, with what is in it."""
    keys = sorted(f"key {number}" for number in range(450))
    for key in keys:
        store.windows.acquire(key, "t", 3, _LONG, 0)
    states = store.windows.states()
    assert [state.key for state in states] == keys
    assert {state.window_calls for state in states} == {1}


def test_reset_empties_the_window_and_keeps_counters_and_queue(store: Store) -> None:
    """After a reset the first in the queue is granted first, and the counters go on."""
    store.windows.acquire("api", "a", 1, _LONG, 0)
    store.windows.acquire("api", "early", 1, _LONG, 0)
    store.windows.acquire("api", "late", 1, _LONG, 0)
    store.windows.reset("api")
    assert not store.windows.acquire("api", "late", 1, _LONG, 1).granted
    assert store.windows.acquire("api", "early", 1, _LONG, 1).granted
    assert (_state(store).calls, _state(store).hits) == (2, 2)


def test_all_who_open_the_store_share_it(store: Store, another: Callable[[], Store]) -> None:
    """A call granted to one is seen by all."""
    store.windows.acquire("api", "a", 1, _LONG, 0)
    assert not another().windows.acquire("api", "b", 1, _LONG, 0).granted


def test_counts_what_was_let_through(store: Store) -> None:
    """Calls let through while the store was away are added to the key's count."""
    store.windows.acquire("api", "a", 1, _LONG, 0)
    store.counts.add(Count(RATE_LIMIT_FAIL_OPEN, ("api",), 3))
    store.counts.add(Count(RATE_LIMIT_FAIL_OPEN, ("api",), 4))
    assert _state(store).fail_open == 7


def test_one_caller_gets_the_mirror_turn(store: Store, another: Callable[[], Store]) -> None:
    """Of all callers one gets the turn in each interval, and again after it."""
    store.windows.acquire("api", "a", 1, _LONG, 0)
    turns = [each.windows.take_mirror_turn("api", _LONG) for each in (store, another(), store)]
    assert turns == [True, False, False]
    assert store.windows.take_mirror_turn("api", 0.0)


def test_a_mirror_that_never_was_is_not_deleted(store: Store) -> None:
    """A missing mirror resets the window only if it had been written, and only once."""
    store.windows.acquire("api", "a", 1, _LONG, 0)
    assert not store.windows.mirror_gone("api")
    assert _state(store).window_calls == 1
    store.windows.mirror_written("api")
    assert store.windows.mirror_gone("api")
    assert _state(store).window_calls == 0
    store.windows.acquire("api", "b", 1, _LONG, 0)
    assert not store.windows.mirror_gone("api")
    assert _state(store).window_calls == 1


def test_many_at_once_get_as_many_grants_as_there_are(
    store: Store, another: Callable[[], Store]
) -> None:
    """Of eight who ask at the same moment, two get the two grants of a new window, each time."""
    stores = [another() for _ in range(8)]
    together = Barrier(8)

    def call(number: int) -> list[bool]:
        granted = []
        for turn in range(30):
            stores[number].about()
            together.wait()
            grant = stores[number].windows.acquire(f"api {turn}", str(number), 2, _LONG, 0)
            granted.append(grant.granted)
        return granted

    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(call, range(8)))
    assert [sum(turn) for turn in zip(*granted, strict=True)] == [2] * 30
    assert {state.waiting for state in store.windows.states()} == {6}
