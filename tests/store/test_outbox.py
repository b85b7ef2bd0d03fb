"""The outbox, over every kind of store."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from uuid import uuid4

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from flowgauge.store import Deferral, Logged, OutboxEntry, OutboxState, Store

_LONG = 60.0


def _put(store: Store, *entry_ids: str) -> None:
    for entry_id in entry_ids:
        failed = Logged("etl", "load", 1.0, reason="unreachable")
        store.defer(failed, Deferral(entry_id, f"body of {entry_id}"))


def _ids(entries: Sequence[OutboxEntry]) -> list[str]:
    return [entry.entry_id for entry in entries]


def _arrived(rows: int = 0) -> Logged:
    return Logged("etl", "load", 0.0, rows=rows)


def test_an_entry_comes_back_as_it_was_put_in(store: Store) -> None:
    """A claimed entry has its id, DAG, task, body and time, whatever the body contains."""
    body = '{"ñ": "\\u0000 日本 \'quoted\'"}\n' * 1000
    before = time.time()
    store.defer(Logged("etl", "load", 1.0, reason="down"), Deferral("id", body))
    (entry,) = store.claim("me", 10, _LONG)
    assert (entry.entry_id, entry.dag_id, entry.task_id) == ("id", "etl", "load")
    assert entry.body == body
    assert (entry.attempts, entry.poison) == (0, None)
    assert before - 1 <= entry.created <= time.time() + 1


def test_putting_the_same_entry_again_changes_nothing(store: Store) -> None:
    """An id that is already there is neither stored nor counted twice."""
    _put(store, "a", "a")
    assert _ids(store.outbox(10)) == ["a"]
    assert store.log_totals().pairs[0].deferred == 1


def test_claims_are_in_order_and_exclusive(store: Store, another: Callable[[], Store]) -> None:
    """Each entry is claimed by one, the ones that came first first."""
    _put(store, "a", "b", "c")
    assert _ids(store.claim("one", 2, _LONG)) == ["a", "b"]
    assert _ids(another().claim("two", 2, _LONG)) == ["c"]
    assert store.claim("one", 2, _LONG) == []


def test_many_claim_at_once_and_none_gets_the_others(
    store: Store, another: Callable[[], Store]
) -> None:
    """Four claiming side by side until nothing is left get every entry once."""
    names = [f"e{n:02}" for n in range(40)]
    _put(store, *names)
    stores = [another() for _ in range(4)]

    def claim_all(number: int) -> list[str]:
        mine: list[str] = []
        while claimed := stores[number].claim(f"owner{number}", 3, _LONG):
            mine += _ids(claimed)
        return mine

    with ThreadPoolExecutor() as pool:
        claimed = list(pool.map(claim_all, range(4)))
    assert sorted(chain.from_iterable(claimed)) == names


def test_the_entries_of_a_dead_owner_are_free_again(store: Store) -> None:
    """When a lease runs out, the entry is claimed by the next who asks, in its old place."""
    _put(store, "c", "b", "a")
    store.claim("dead", 2, 0.05)
    deadline = time.monotonic() + 10
    while len(claimed := store.claim("heir", 3, 0.001)) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _ids(claimed) == ["c", "b", "a"]


def test_an_arrived_entry_is_counted_and_gone(store: Store) -> None:
    """Settling removes the entry and counts the payload, without a second duration."""
    _put(store, "a")
    store.claim("me", 1, _LONG)
    store.settle("a", _arrived(rows=7))
    totals = store.log_totals()
    assert (totals.pairs[0].logs, totals.pairs[0].rows) == (1, 7)
    assert totals.durations["etl"][0][-1] == 1
    assert store.outbox_state() == OutboxState(entries=0, poison=0, oldest=None)


def test_an_entry_is_settled_once(store: Store) -> None:
    """Two who sent the same entry count it once; an unknown entry counts nothing."""
    _put(store, "a")
    for entry_id in ("a", "a", "unknown"):
        store.settle(entry_id, _arrived())
    assert store.log_totals().pairs[0].logs == 1


def test_an_arrived_entry_is_not_handed_out_again(store: Store) -> None:
    """Whether it was claimed or not, a settled entry is no longer in line."""
    _put(store, "claimed", "free", "left")
    store.claim("me", 1, 0.001)
    store.settle("claimed", _arrived())
    store.settle("free", _arrived())
    time.sleep(0.01)
    assert _ids(store.claim("me", 10, _LONG)) == ["left"]


def test_a_released_entry_goes_to_the_end_of_the_line(store: Store) -> None:
    """A failed attempt is counted, and the others get their turn first."""
    _put(store, "a", "b")
    store.claim("me", 1, _LONG)
    store.release("a", "me", "timeout")
    entries = store.claim("me", 10, _LONG)
    assert _ids(entries) == ["b", "a"]
    assert [entry.attempts for entry in entries] == [0, 1]
    assert store.log_totals().pairs[0].failures == {"unreachable": 2, "timeout": 1}


def test_who_lost_the_lease_cannot_release(store: Store) -> None:
    """A late owner neither frees nor counts an entry that another holds by now."""
    _put(store, "a")
    store.claim("late", 1, 0.001)
    deadline = time.monotonic() + 10
    while not store.claim("heir", 1, _LONG) and time.monotonic() < deadline:
        time.sleep(0.01)
    store.release("a", "late", "timeout")
    assert store.claim("third", 1, _LONG) == []
    assert store.outbox(1)[0].attempts == 0


def test_an_entry_set_aside_is_out_of_the_way_and_told(store: Store) -> None:
    """It is never claimed again, but listed and counted, with the sentence for the operator."""
    _put(store, "bad", "good")
    store.claim("me", 1, _LONG)
    store.set_aside("bad", "rejected", "MLflow refuses the name")
    store.set_aside("bad", "rejected", "again")
    assert _ids(store.claim("me", 10, _LONG)) == ["good"]
    state = store.outbox_state()
    assert (state.entries, state.poison) == (1, 1)
    bad, good = store.outbox(10)
    assert (bad.poison, good.poison) == ("MLflow refuses the name", None)
    assert state.oldest == good.created
    assert store.log_totals().pairs[0].failures["rejected"] == 1


def test_the_list_is_oldest_first_and_limited(store: Store) -> None:
    """The list has the entries in the order they came, whoever holds them."""
    _put(store, "a", "b", "c")
    store.claim("me", 1, _LONG)
    store.release("a", "me", "timeout")
    store.set_aside("b", "rejected", "no")
    assert _ids(store.outbox(10)) == ["a", "b", "c"]
    assert _ids(store.outbox(2)) == ["a", "b"]


def test_an_entry_to_retry_is_in_line_again(store: Store) -> None:
    """It is free at once, at the end of the line, with its time and attempts, to be sent once."""
    _put(store, "bad", "good")
    store.claim("me", 1, _LONG)
    store.set_aside("bad", "rejected", "no")
    assert store.retry("bad", "good", "unknown", "bad") == ["bad"]
    entries = store.claim("me", 10, _LONG)
    assert _ids(entries) == ["good", "bad"]
    assert [(entry.attempts, entry.poison) for entry in entries] == [(0, None), (1, None)]
    assert (store.outbox_state().poison, store.outbox_state().oldest) == (0, entries[1].created)
    store.settle("bad", _arrived())
    assert _ids(store.outbox(10)) == ["good"]


def test_an_entry_to_retry_belongs_to_nobody(store: Store) -> None:
    """Whoever held it when it was set aside can no longer give it back."""
    _put(store, "bad")
    store.claim("before", 1, _LONG)
    store.set_aside("bad", "rejected", "no")
    store.retry("bad")
    store.release("bad", "before", "timeout")
    assert store.outbox(1)[0].attempts == 1


def test_without_ids_everything_set_aside_is_retried(store: Store) -> None:
    """All that were set aside come back, oldest first, and nothing else moves."""
    _put(store, "a", "b", "c")
    for entry_id in ("b", "a"):
        store.set_aside(entry_id, "rejected", "no")
    assert store.retry() == ["a", "b"]
    assert store.retry() == []
    assert _ids(store.claim("me", 10, _LONG)) == ["c", "a", "b"]


def test_a_dropped_entry_is_gone_uncounted(store: Store) -> None:
    """Waiting, claimed or set aside: it is neither listed nor sent, nor counts when it arrives."""
    _put(store, "claimed", "aside", "waiting", "left")
    store.claim("me", 1, 0.001)
    store.set_aside("aside", "rejected", "no")
    asked = ["aside", "unknown", "claimed", "waiting"]
    assert store.drop(*asked) == ["aside", "claimed", "waiting"]
    assert store.drop() == []
    store.settle("claimed", _arrived())
    assert store.retry() == []
    time.sleep(0.01)
    assert _ids(store.outbox(10)) == _ids(store.claim("me", 10, _LONG)) == ["left"]
    assert (store.outbox_state().entries, store.outbox_state().poison) == (1, 0)
    assert store.log_totals().pairs[0].logs == 0


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
            store.defer(Logged(dag_id, "t", 0, reason="down"), Deferral(entry_id, "{}"))
            put.add(entry_id)
        elif action == "claim":
            store.claim("me", 2, 0.0001)
        elif action == "settle":
            store.settle(entry_id, Logged(dag_id, "t", 0))
            settled |= put & {entry_id}
        elif action == "release":
            store.release(entry_id, "me", "timeout")
        elif action == "set_aside":
            store.set_aside(entry_id, "rejected", "no")
        elif action == "retry":
            store.retry(entry_id)
    here = {entry.entry_id for entry in store.outbox(1000) if entry.dag_id == dag_id}
    assert here == put - settled
    totals = [pair for pair in store.log_totals().pairs if pair.dag_id == dag_id]
    assert sum(pair.logs for pair in totals) == len(settled)
    assert sum(pair.deferred for pair in totals) == len(put)
