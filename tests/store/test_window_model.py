"""The window against a model too simple to be wrong, on a clock that the test moves."""

from collections.abc import Iterator
from uuid import uuid4

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from flowgauge.store import GRACE_SECONDS, RECHECK_SECONDS, Store
from tests.store.clocks import Clock, clocked_store

_LENGTH = 10_000_000  # microseconds, as is every time here
_TICKETS = st.sampled_from("abcdefgh")

Clocked = tuple[Store, Clock]


@pytest.fixture
def clocked(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocked]:
    """A store of each kind, on a clock that the test moves. Every example has a key of its own."""
    with clocked_store(store_url, monkeypatch) as clocked:
        yield clocked


class WindowMachine(RuleBasedStateMachine):
    """Callers come, come back, give up, are killed, while time passes."""

    def __init__(self, clocked: Clocked) -> None:
        super().__init__()
        self.store, self.clock = clocked
        self.key = uuid4().hex

    @initialize(max_calls=st.integers(1, 3))
    def start(self, max_calls: int) -> None:
        """Nobody has called yet."""
        self.max_calls = max_calls
        self.grants: list[int] = []
        self.holders: dict[str, int] = {}
        self.queue: list[str] = []
        self.leases: dict[str, int] = {}

    @rule(ticket=_TICKETS)
    def attempt(self, ticket: str) -> None:
        """Who is granted: the first in the queue, as many as the window has room for.

        Who has a grant in the window gets that one, anew.
        """
        now = self.clock.now
        if self.holders.get(ticket, -_LENGTH) > now - _LENGTH:
            assert self.store.windows.acquire(
                self.key, ticket, self.max_calls, _LENGTH / 1e6, 0
            ).granted
            self.grants.remove(self.holders[ticket])
            self.grants.append(now)
            self.holders[ticket] = now
            return
        self.queue = [t for t in self.queue if self.leases[t] >= now]
        ahead = self.queue.index(ticket) if ticket in self.queue else len(self.queue)
        room = self.max_calls - sum(at > now - _LENGTH for at in self.grants)
        grant = self.store.windows.acquire(self.key, ticket, self.max_calls, _LENGTH / 1e6, 0)
        assert grant.granted == (ahead < room)
        if grant.granted:
            self.grants.append(now)
            self.holders[ticket] = now
            self.queue = [t for t in self.queue if t != ticket]
        else:
            self.queue += [ticket] if ticket not in self.queue else []
            patience = min(grant.wait_seconds, RECHECK_SECONDS) + GRACE_SECONDS
            self.leases[ticket] = now + round(patience * 1e6)

    @rule(ticket=_TICKETS)
    def give_up(self, ticket: str) -> None:
        """Who gives up is out of the queue."""
        self.store.windows.give_up(self.key, ticket, 0)
        self.queue = [t for t in self.queue if t != ticket]

    @rule(seconds=st.floats(0, 12))
    def pass_time(self, seconds: float) -> None:
        """Time passes, so that grants expire and callers come too late."""
        self.clock.now += round(seconds * 1e6)

    @rule(ticket=_TICKETS)
    def pass_to_the_end_of_a_lease(self, ticket: str) -> None:
        """A caller is as late as it may be."""
        self.clock.now = max(self.clock.now, self.leases.get(ticket, 0))

    @rule()
    def pass_to_the_brink(self) -> None:
        """The oldest grant is a microsecond from leaving the window."""
        if self.grants and self.grants[-1] + _LENGTH - 1 > self.clock.now:
            self.clock.now = self.grants[-1] + _LENGTH - 1

    @invariant()
    def never_more_than_the_limit(self) -> None:
        """No stretch of one window's length holds more grants than the limit."""
        for start in self.grants:
            assert sum(start <= at < start + _LENGTH for at in self.grants) <= self.max_calls


def test_grants_follow_the_model_and_no_window_overflows(clocked: Clocked) -> None:
    """Whatever callers do."""
    run_state_machine_as_test(
        lambda: WindowMachine(clocked),  # type: ignore[arg-type]  # it only calls it
        settings=settings(max_examples=60, stateful_step_count=40, deadline=None),
    )


_FIXTURE = [HealthCheck.function_scoped_fixture]


@settings(max_examples=20, deadline=None, suppress_health_check=_FIXTURE)
@given(
    max_calls=st.integers(1, 4),
    arrivals=st.lists(st.integers(0, 30_000_000), min_size=1, max_size=14),
)
def test_patient_callers_lose_no_time_and_no_place(
    clocked: Clocked, max_calls: int, arrivals: list[int]
) -> None:
    """Callers that come back when told are granted in order, each at the first moment possible."""
    store, clock = clocked
    key = uuid4().hex
    origin = clock.now
    due = [(at, n) for n, at in enumerate(sorted(arrivals))]
    began = {n: at for at, n in due}
    granted: list[int] = []
    while due:
        due.sort()
        at, n = due.pop(0)
        clock.now = origin + at
        waited = (at - began[n]) / 1e6
        grant = store.windows.acquire(key, str(n), max_calls, _LENGTH / 1e6, waited)
        if grant.granted:
            assert n == len(granted)
            granted.append(at)
        else:
            wait = min(grant.wait_seconds, RECHECK_SECONDS)
            due.append((at + round(wait * 1e6), n))
    for n, at in enumerate(granted):
        freed = granted[n - max_calls] + _LENGTH if n >= max_calls else 0
        assert at == max(began[n], freed)


@settings(max_examples=15, deadline=None, suppress_health_check=_FIXTURE)
@given(back=st.floats(0.001, 1e6))
def test_a_clock_set_back_costs_at_most_one_window(clocked: Clocked, back: float) -> None:
    """After the clock was set back the limit holds, and the window opens within its own length."""
    store, clock = clocked
    key = uuid4().hex
    store.windows.acquire(key, "a", 1, 10, 0)
    clock.now -= round(back * 1e6)
    grant = store.windows.acquire(key, "b", 1, 10, 0)
    assert 0 < grant.wait_seconds <= 10
    clock.now += _LENGTH
    assert store.windows.acquire(key, "c", 1, 10, 0).granted


@settings(max_examples=15, deadline=None, suppress_health_check=_FIXTURE)
@given(back=st.floats(0.001, 1e6))
def test_nobody_waits_behind_the_dead_for_longer_when_the_clock_is_set_back(
    clocked: Clocked, back: float
) -> None:
    """A caller that was killed before the clock was set back loses its place as soon as ever."""
    store, clock = clocked
    key = uuid4().hex
    store.windows.acquire(key, "a", 1, 10, 0)
    store.windows.acquire(key, "dead", 1, 10, 0)
    clock.now -= round(back * 1e6)
    store.windows.acquire(key, "b", 1, 10, 0)
    clock.now += round((RECHECK_SECONDS + GRACE_SECONDS) * 1e6) + 1
    assert store.windows.acquire(key, "b", 1, 10, 1).wait_seconds < 10
