"""The outbox, over every kind of store."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from uuid import uuid4

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from flowgauge.store import Count, Lease, NewEntry, OutboxEntry, OutboxState, Store
from flowgauge.store.log_calls import Logged, arrived, failed
from stack.process import wait_for
from tests.counting import defer, durations, pairs

_LONG = 60.0


def _put(store: Store, *entry_ids: str) -> None:
    for entry_id in entry_ids:
        failed = Logged("etl", "load", 1.0, reason="unreachable")
        defer(store, failed, entry_id, f"body of {entry_id}")


def _ids(entries: Sequence[OutboxEntry]) -> list[str]:
    return [entry.entry_id for entry in entries]


def _arrived(rows: int = 0) -> Sequence[Count]:
    return arrived(Logged("etl", "load", 0.0, rows=rows))


def _failed(reason: str) -> Sequence[Count]:
    return failed("etl", "load", reason)


def test_an_entry_comes_back_as_it_was_put_in(store: Store) -> None:
    """A claimed entry has its id, DAG, task, body and time, whatever the body contains."""
    body = '{"ñ": "\\u0000 日本 \'quoted\'"}\n' * 1000
    before = time.time()
    defer(store, Logged("etl", "load", 1.0, reason="down"), "id", body)
    (entry,) = store.outbox.claim(Lease("me", _LONG), 10)
    assert (entry.entry_id, entry.dag_id, entry.task_id) == ("id", "etl", "load")
    assert entry.body == body
    assert (entry.attempts, entry.poison) == (0, None)
    assert before - 1 <= entry.created <= time.time() + 1


def test_half_a_character_is_no_error(store: Store) -> None:
    """It may be in the id of a run, from a user or from MLflow; a sign stands in its place."""
    _put(store, "a")
    store.outbox.claim(Lease("me", _LONG), 1)
    store.outbox.release("a", "me", "unexpected (run \ud800)")
    assert [entry.reason for entry in store.outbox.entries(1)] == ["unexpected (run ?)"]


def test_putting_the_same_entry_again_changes_nothing(store: Store) -> None:
    """An id that is already there is neither stored nor counted twice."""
    _put(store, "a", "a")
    assert _ids(store.outbox.entries(10)) == ["a"]
    assert pairs(store)[0].deferred == 1


def test_claims_are_in_order_and_exclusive(store: Store, another: Callable[[], Store]) -> None:
    """Each entry is claimed by one, the ones that came first first."""
    _put(store, "a", "b", "c")
    assert _ids(store.outbox.claim(Lease("one", _LONG), 2)) == ["a", "b"]
    assert _ids(another().outbox.claim(Lease("two", _LONG), 2)) == ["c"]
    assert store.outbox.claim(Lease("one", _LONG), 2) == []


def test_due_is_what_could_be_claimed(store: Store) -> None:
    """An entry is due while it is in line, or its lease is over; not while held, aside or gone."""
    assert not store.outbox.is_due()
    _put(store, "a")
    assert store.outbox.is_due()
    store.outbox.claim(Lease("me", _LONG), 1)
    assert not store.outbox.is_due()
    store.outbox.release("a", "me", "unreachable")
    assert store.outbox.is_due()
    store.outbox.claim(Lease("dead", 0.001), 1)
    wait_for(store.outbox.is_due, "the lease is over")
    store.outbox.set_aside("a", "rejected", "no")
    assert not store.outbox.is_due()


def test_many_claim_at_once_and_none_gets_the_others(
    store: Store, another: Callable[[], Store]
) -> None:
    """Four claiming side by side until nothing is left get every entry once."""
    names = [f"e{n:02}" for n in range(40)]
    _put(store, *names)
    stores = [another() for _ in range(4)]

    def claim_all(number: int) -> list[str]:
        mine: list[str] = []
        while claimed := stores[number].outbox.claim(Lease(f"owner{number}", _LONG), 3):
            mine += _ids(claimed)
        return mine

    with ThreadPoolExecutor() as pool:
        claimed = list(pool.map(claim_all, range(4)))
    assert sorted(chain.from_iterable(claimed)) == names


def test_the_entries_of_a_dead_owner_are_free_again(store: Store) -> None:
    """When a lease runs out, the entry is claimed by the next who asks, in its old place."""
    _put(store, "c", "b", "a")
    store.outbox.claim(Lease("dead", 0.05), 2)
    deadline = time.monotonic() + 10
    while (
        len(claimed := store.outbox.claim(Lease("heir", 0.001), 3)) < 3
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    assert _ids(claimed) == ["c", "b", "a"]


def test_an_arrived_entry_is_counted_and_gone(store: Store) -> None:
    """Settling removes the entry and counts the payload, without a second duration."""
    _put(store, "a")
    store.outbox.claim(Lease("me", _LONG), 1)
    store.outbox.settle("a", _arrived(rows=7))
    (pair,) = pairs(store)
    assert (pair.logs, pair.rows) == (1, 7)
    assert durations(store)["etl"][0][-1] == 1
    assert store.outbox.state() == OutboxState(entries=0, poison=0, oldest=None)


def test_an_entry_is_settled_once(store: Store) -> None:
    """Two who sent the same entry count it once; an unknown entry counts nothing."""
    _put(store, "a")
    for entry_id in ("a", "a", "unknown"):
        store.outbox.settle(entry_id, _arrived())
    assert pairs(store)[0].logs == 1


def test_an_arrived_entry_is_not_handed_out_again(store: Store) -> None:
    """Whether it was claimed or not, a settled entry is no longer in line."""
    _put(store, "claimed", "free", "left")
    store.outbox.claim(Lease("me", 0.001), 1)
    store.outbox.settle("claimed", _arrived())
    store.outbox.settle("free", _arrived())
    time.sleep(0.01)
    assert _ids(store.outbox.claim(Lease("me", _LONG), 10)) == ["left"]


def test_a_released_entry_goes_to_the_end_of_the_line(store: Store) -> None:
    """A failed attempt is counted, and the others get their turn first."""
    _put(store, "a", "b")
    store.outbox.claim(Lease("me", _LONG), 1)
    store.outbox.release("a", "me", "timeout", _failed("timeout"))
    entries = store.outbox.claim(Lease("me", _LONG), 10)
    assert _ids(entries) == ["b", "a"]
    assert [entry.attempts for entry in entries] == [0, 1]
    assert pairs(store)[0].failures == {"unreachable": 2, "timeout": 1}


def test_who_lost_the_lease_cannot_release(store: Store) -> None:
    """A late owner neither frees nor counts an entry that another holds by now."""
    _put(store, "a")
    store.outbox.claim(Lease("late", 0.001), 1)
    deadline = time.monotonic() + 10
    while not store.outbox.claim(Lease("heir", _LONG), 1) and time.monotonic() < deadline:
        time.sleep(0.01)
    store.outbox.release("a", "late", "timeout", _failed("timeout"))
    assert store.outbox.claim(Lease("third", _LONG), 1) == []
    assert store.outbox.entries(1)[0].attempts == 0


def test_an_entry_set_aside_is_out_of_the_way_and_told(store: Store) -> None:
    """It is never claimed again, but listed and counted, with the sentence for the operator."""
    _put(store, "bad", "good")
    store.outbox.claim(Lease("me", _LONG), 1)
    store.outbox.set_aside("bad", "rejected", "MLflow refuses the name", _failed("rejected"))
    store.outbox.set_aside("bad", "rejected", "again", _failed("rejected"))
    assert _ids(store.outbox.claim(Lease("me", _LONG), 10)) == ["good"]
    state = store.outbox.state()
    assert (state.entries, state.poison) == (1, 1)
    bad, good = store.outbox.entries(10)
    assert (bad.poison, good.poison) == ("MLflow refuses the name", None)
    assert state.oldest == good.created
    assert pairs(store)[0].failures["rejected"] == 1


def test_the_list_is_oldest_first_and_limited(store: Store) -> None:
    """The list has the entries in the order they came, whoever holds them."""
    _put(store, "a", "b", "c")
    store.outbox.claim(Lease("me", _LONG), 1)
    store.outbox.release("a", "me", "timeout", _failed("timeout"))
    store.outbox.set_aside("b", "rejected", "no", _failed("rejected"))
    assert _ids(store.outbox.entries(10)) == ["a", "b", "c"]
    assert _ids(store.outbox.entries(2)) == ["a", "b"]


def test_a_long_list_is_read_in_pages(store: Store) -> None:
    """Each entry once, oldest first, whatever happens between the pages to those read before."""
    names = [f"e{n:03}" for n in range(250)]
    _put(store, *names)
    for entry_id in names[::7]:
        store.outbox.set_aside(entry_id, "rejected", "no")
    assert _ids(store.outbox.entries(1000)) == names
    listed = []
    for entry in store.outbox.each_entry(230):
        listed.append(entry.entry_id)
        if len(listed) in (100, 150, 200):
            store.outbox.settle(listed[-1])
            store.outbox.drop(listed[50])
            store.outbox.retry(listed[70])
    assert listed == names[:230]
    assert list(store.outbox.each_entry(0)) == []


def test_an_entry_to_retry_is_in_line_again(store: Store) -> None:
    """It is free at once, at the end of the line, with its time and attempts, to be sent once."""
    _put(store, "bad", "good")
    store.outbox.claim(Lease("me", _LONG), 1)
    store.outbox.set_aside("bad", "rejected", "no", _failed("rejected"))
    assert store.outbox.retry("bad", "good", "unknown", "bad") == ["bad"]
    entries = store.outbox.claim(Lease("me", _LONG), 10)
    assert _ids(entries) == ["good", "bad"]
    assert [(entry.attempts, entry.poison) for entry in entries] == [(0, None), (1, None)]
    assert (store.outbox.state().poison, store.outbox.state().oldest) == (0, entries[1].created)
    store.outbox.settle("bad", _arrived())
    assert _ids(store.outbox.entries(10)) == ["good"]


def test_an_entry_to_retry_belongs_to_nobody(store: Store) -> None:
    """Whoever held it when it was set aside can no longer give it back."""
    _put(store, "bad")
    store.outbox.claim(Lease("before", _LONG), 1)
    store.outbox.set_aside("bad", "rejected", "no", _failed("rejected"))
    store.outbox.retry("bad")
    store.outbox.release("bad", "before", "timeout", _failed("timeout"))
    assert store.outbox.entries(1)[0].attempts == 1


def test_without_ids_everything_set_aside_is_retried(store: Store) -> None:
    """All that were set aside come back, oldest first, and nothing else moves."""
    _put(store, "a", "b", "c")
    for entry_id in ("b", "a"):
        store.outbox.set_aside(entry_id, "rejected", "no", _failed("rejected"))
    assert store.outbox.retry() == ["a", "b"]
    assert store.outbox.retry() == []
    assert _ids(store.outbox.claim(Lease("me", _LONG), 10)) == ["c", "a", "b"]


def test_a_dropped_entry_is_gone_uncounted(store: Store) -> None:
    """Waiting, claimed or set aside: it is neither listed nor sent, nor counts when it arrives."""
    _put(store, "claimed", "aside", "waiting", "left")
    store.outbox.claim(Lease("me", 0.001), 1)
    store.outbox.set_aside("aside", "rejected", "no", _failed("rejected"))
    asked = ["aside", "unknown", "claimed", "waiting"]
    assert store.outbox.drop(*asked) == ["aside", "claimed", "waiting"]
    assert store.outbox.drop() == []
    store.outbox.settle("claimed", _arrived())
    assert store.outbox.retry() == []
    time.sleep(0.01)
    assert (
        _ids(store.outbox.entries(10))
        == _ids(store.outbox.claim(Lease("me", _LONG), 10))
        == ["left"]
    )
    assert (store.outbox.state().entries, store.outbox.state().poison) == (1, 0)
    assert pairs(store)[0].logs == 0


def test_how_full_it_is_is_exact_for_many_too(store: Store) -> None:
    """Through each step that takes an entry in, aside, back or out, whatever it does it to."""
    names = [f"e{number}" for number in range(250)]
    _put(store, *names, *names[:5])
    for name in (*names[:120], *names[:5]):
        store.outbox.set_aside(name, "rejected", "no")
    assert (store.outbox.state().entries, store.outbox.state().poison) == (130, 120)
    for name in (*names[:3], *names[120:126], "unknown"):
        store.outbox.settle(name)
    store.outbox.retry(*names[:10])
    store.outbox.drop(*names[10:14], *names[-6:])
    store.outbox.claim(Lease("me", _LONG), 1)
    assert (store.outbox.state().entries, store.outbox.state().poison) == (125, 106)
    store.outbox.retry()
    assert (store.outbox.state().entries, store.outbox.state().poison) == (231, 0)


def test_an_entry_put_in_under_a_lease_is_its_owners(store: Store) -> None:
    """Nobody else claims it; its owner may release it, which frees it and counts once."""
    entry = NewEntry("a", "etl", "load", "{}")
    store.outbox.put(entry, lease=Lease("me", _LONG), lapsed=_failed("killed"))
    assert store.outbox.claim(Lease("other", _LONG), 1) == []
    assert (store.outbox.state().entries, pairs(store)) == (1, [])
    store.outbox.release("a", "me", "unreachable", _failed("unreachable"))
    assert _ids(store.outbox.claim(Lease("other", 0.001), 1)) == ["a"]
    _claim_in_time(store, 1)
    assert pairs(store)[0].failures == {"unreachable": 1}


def test_a_lease_from_the_start_that_runs_out_is_counted_once(store: Store) -> None:
    """A task killed while it sent is counted when the next who claims takes its entry over."""
    for entry_id in ("a", "b"):
        entry = NewEntry(entry_id, "etl", "load", "{}")
        store.outbox.put(entry, lease=Lease("killed", 0.001), lapsed=_failed("killed"))
    assert _ids(_claim_in_time(store, 2)) == ["a", "b"]
    assert pairs(store)[0].failures == {"killed": 2}
    _claim_in_time(store, 2)
    assert pairs(store)[0].failures == {"killed": 2}


def test_a_lease_from_the_start_that_ends_well_counts_what_it_is_told(store: Store) -> None:
    """Settled or set aside in time, nothing is counted as killed."""
    for entry_id in ("sent", "refused"):
        entry = NewEntry(entry_id, "etl", "load", "{}")
        store.outbox.put(entry, lease=Lease("me", 0.001), lapsed=_failed("killed"))
    store.outbox.settle("sent", _arrived(rows=3))
    store.outbox.set_aside("refused", "rejected", "no", _failed("rejected"))
    store.outbox.retry()
    assert _ids(_claim_in_time(store, 1)) == ["refused"]
    (pair,) = pairs(store)
    assert (pair.logs, pair.rows, pair.failures) == (1, 3, {"rejected": 1})


def test_an_entry_says_why_it_is_here(store: Store) -> None:
    """The reason is that of the last attempt."""
    _put(store, "a")
    assert store.outbox.entries(1)[0].reason == "unreachable"
    store.outbox.claim(Lease("me", _LONG), 1)
    store.outbox.release("a", "me", "timeout")
    assert store.outbox.entries(1)[0].reason == "timeout"
    store.outbox.set_aside("a", "rejected", "no")
    assert store.outbox.entries(1)[0].reason == "rejected"


def _claim_in_time(store: Store, number: int) -> Sequence[OutboxEntry]:
    """Claim as soon as so many entries are free, for a moment only."""
    deadline = time.monotonic() + 10
    while len(claimed := store.outbox.claim(Lease("heir", 0.001), number)) < number:
        assert time.monotonic() < deadline
    return claimed


_ACTIONS = st.sampled_from(["put", "claim", "settle", "release", "set_aside", "retry"])


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.tuples(_ACTIONS, st.sampled_from("abc")), max_size=25))
def test_nothing_is_lost_and_nothing_counted_twice(
    store: Store, steps: list[tuple[str, str]]
) -> None:
    """Whatever is done in whatever order, each payload put in is settled once or still there."""
    dag_id = str(uuid4())
    put: set[str] = set()
    settled: set[str] = set()
    for action, letter in steps:
        entry_id = f"{dag_id}-{letter}"
        if action == "put" and entry_id not in settled:
            defer(store, Logged(dag_id, "t", 0, reason="down"), entry_id, "{}")
            put.add(entry_id)
        elif action == "claim":
            store.outbox.claim(Lease("me", 0.0001), 2)
        elif action == "settle":
            store.outbox.settle(entry_id, arrived(Logged(dag_id, "t", 0)))
            settled |= put & {entry_id}
        elif action == "release":
            store.outbox.release(entry_id, "me", "timeout", _failed("timeout"))
        elif action == "set_aside":
            store.outbox.set_aside(entry_id, "rejected", "no", _failed("rejected"))
        elif action == "retry":
            store.outbox.retry(entry_id)
    here = {entry.entry_id for entry in store.outbox.entries(1000) if entry.dag_id == dag_id}
    assert here == put - settled
    totals = [pair for pair in pairs(store) if pair.dag_id == dag_id]
    assert sum(pair.logs for pair in totals) == len(settled)
    assert sum(pair.deferred for pair in totals) == len(put)
