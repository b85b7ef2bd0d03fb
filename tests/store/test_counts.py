"""What log calls count, over every kind of store."""

import math
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from uuid import uuid4

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from flowgauge.metrics import DAG_LOG_DURATION, DAG_LOGS, DAG_ROWS
from flowgauge.store import Count, Store
from flowgauge.store.counts import Counts
from flowgauge.store.folding import fold_unseen
from flowgauge.store.log_calls import Logged, arrived, ended
from flowgauge.store.windows import Windows
from tests.counting import Pair, defer, durations, pairs

_LOGGED = Logged("etl", "load", 0.3, rows=100, null_ratio=0.25)


def _pair(store: Store) -> Pair:
    (pair,) = pairs(store)
    return pair


def _record(store: Store, logged: Logged) -> None:
    store.counts.add(*ended(logged))


def test_an_arrived_payload_counts_its_rows_and_its_time(store: Store) -> None:
    """Logs and rows add up; the null ratio and the time are those of the last payload."""
    before = time.time()
    _record(store, _LOGGED)
    _record(store, _LOGGED._replace(rows=11, null_ratio=0.5))
    pair = _pair(store)
    assert (pair.dag_id, pair.task_id, pair.logs, pair.rows) == ("etl", "load", 2, 111)
    assert (pair.null_ratio, pair.failures, pair.deferred) == (0.5, {}, 0)
    assert pair.last_logged is not None
    assert before - 1 <= pair.last_logged <= time.time() + 1


def test_a_payload_without_null_ratio_keeps_the_last_one(store: Store) -> None:
    """A null ratio of 0 is a value; none at all changes nothing."""
    _record(store, _LOGGED._replace(null_ratio=0.0))
    _record(store, _LOGGED._replace(null_ratio=None))
    assert _pair(store).null_ratio == 0.0


def test_a_refused_payload_counts_as_failure_only(store: Store) -> None:
    """Failures are counted by reason, and are neither logs nor rows."""
    for reason in ("invalid", "invalid", "rejected"):
        _record(store, _LOGGED._replace(reason=reason))
    pair = _pair(store)
    assert pair.failures == {"invalid": 2, "rejected": 1}
    assert (pair.logs, pair.rows, pair.null_ratio, pair.last_logged) == (0, 0, None, None)


def test_a_deferred_payload_counts_as_failure_and_deferral(store: Store) -> None:
    """What went into the outbox is a failed attempt of its task, its time is observed."""
    defer(store, _LOGGED._replace(reason="unreachable"), "id")
    pair = _pair(store)
    assert (pair.logs, pair.deferred, pair.failures) == (0, 1, {"unreachable": 1})
    assert durations(store)["etl"][0][-1] == 1


def test_an_altered_payload_is_counted_once(store: Store) -> None:
    """It counts when the task logs it, wherever it goes, and not again when it arrives later."""
    altered = _LOGGED._replace(altered=True)
    _record(store, altered)
    _record(store, _LOGGED)
    for _ in range(2):
        defer(store, altered._replace(reason="unreachable"), "id")
    assert _pair(store).altered == 2
    store.outbox.settle("id", arrived(altered))
    assert (_pair(store).logs, _pair(store).altered) == (3, 2)


def test_pairs_keep_the_order_in_which_they_came(store: Store) -> None:
    """Later payloads, and the names, do not change the order of pairs."""
    names = [("z", "z"), ("a", "b"), ("a", "a"), ('q"[]', "x,y"), ("ü", "日本")]
    for dag_id, task_id in [*names, *reversed(names)]:
        _record(store, Logged(dag_id, task_id, 0.1))
    assert [(pair.dag_id, pair.task_id) for pair in pairs(store)] == names


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seconds=st.lists(
        st.one_of(
            st.sampled_from(DAG_LOG_DURATION.buckets),
            # Whole microseconds, which both stores keep.
            st.integers(0, 200_000_000).map(lambda us: us / 1e6),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_durations_are_a_histogram(store: Store, seconds: list[float]) -> None:
    """Each bucket counts the durations up to its bound, the bound included; the sum is exact."""
    dag_id = str(uuid4())
    for each in seconds:
        _record(store, Logged(dag_id, "t", each))
    counts, total = durations(store)[dag_id]
    bounds = (*DAG_LOG_DURATION.buckets, math.inf)
    assert list(counts) == [sum(each <= bound for each in seconds) for bound in bounds]
    assert total == pytest.approx(sum(seconds))


def test_nothing_counted_is_nothing_shown(store: Store) -> None:
    """An empty store has no pairs, durations, windows or entries."""
    assert (pairs(store), durations(store)) == ([], {})
    assert list(store.windows.states()) == []
    assert list(store.outbox.entries(10)) == []


def test_owners_are_read_in_pages(store: Store) -> None:
    """A page has the next owners of one kind, in the order they came, and nothing of the others."""
    for number in range(7):
        _record(store, Logged("etl", f"task {number}", 0.1, rows=number))
    first = store.counts.page("dag_id,task_id", -1, 3)
    second = store.counts.page("dag_id,task_id", first[-1].place, 10)
    assert [each.labels[1] for each in (*first, *second)] == [f"task {n}" for n in range(7)]
    assert [each.of(DAG_ROWS) for each in second] == [3, 4, 5, 6]
    assert [each.labels for each in store.counts.page("dag_id", -1, 10)] == [("etl",)]
    assert store.counts.page("dag_id,task_id", second[-1].place, 10) == []


def test_a_number_beyond_all_numbers_costs_itself() -> None:
    """Whoever may write to a Redis may write four hundred digits: all else is shown."""
    digits = "9" * 400
    page = [
        ['["late"]', 0, digits, {}],
        ['["many"]', 1, 1, {'["a"]': int(digits), '["b"]': 2}],
    ]
    totals = Counts(lambda *_: page).page("key", -1, 10)
    assert [each.labels for each in totals] == [("late",), ("many",)]
    assert totals[1].values == {("b",): 2}


def test_a_server_that_answers_in_circles_is_left() -> None:
    """What is taken for a store, and gives the same page again and again, holds no reader."""
    page = [['["api"]', 1, 0, {}]]
    assert len(list(Counts(lambda *_: page).totals("key"))) == 2
    states = Windows(lambda *_: ["cursor", [["api", 1, 1, 1, 1, False]]]).states()
    assert [each.key for each in states] == ["api"]


def test_counts_of_one_step_are_all_there_and_exact(store: Store) -> None:
    """Of several owners, of one row twice, and of any size that a float can hold."""
    large = Count(DAG_ROWS, ("etl", "load"), 2.0**53)
    store.counts.add(
        large, large, Count(DAG_LOGS, ("ml", "fit")), Count(DAG_ROWS, ("ml", "fit"), 0.1)
    )
    store.counts.add(Count(DAG_ROWS, ("ml", "fit"), 0.2), Count(DAG_ROWS, ("etl", "load"), 1e19))
    etl, fit = pairs(store)
    assert etl.rows == 2.0**54 + 1e19
    assert fit.logs == 1
    assert fit.rows == pytest.approx(0.3, abs=1e-15)


def test_many_count_at_once_and_none_waits_in_a_circle(
    store: Store, another: Callable[[], Store]
) -> None:
    """Four who count the same new owners in opposite orders lose nothing."""
    stores = [another() for _ in range(4)]
    names = [f"dag {number}" for number in range(5)]

    def count(number: int) -> None:
        for turn in range(15):
            order = names if number % 2 else reversed(names)
            own = [f"dag {number} {turn}", f"a {turn} {number}"]
            stores[number].counts.add(*(Count(DAG_LOGS, (name, "t")) for name in (*order, *own)))

    with ThreadPoolExecutor() as pool:
        list(pool.map(count, range(4)))
    counted = {pair.dag_id: pair.logs for pair in pairs(store)}
    assert [counted.pop(name) for name in names] == [60] * 5
    assert list(counted.values()) == [1] * 120


def test_a_store_says_what_it_is(store: Store, store_url: str) -> None:
    """Engine and version, for whoever looks for a fault."""
    scheme = re.split(r"[+:]", store_url)[0]
    engine, version = store.about().split()
    assert engine.lower() in (scheme, "valkey")
    assert re.fullmatch(r"\d+\.[\d.]+", version)


def test_what_was_not_seen_is_folded_into_other(store: Store) -> None:
    """Nothing counted is lost, the place is free for a new one, and who comes back begins anew."""
    for number in range(3):
        _record(store, Logged(f"dag{number}", "t", 0.3, rows=10**number, null_ratio=0.5))
        _record(store, Logged(f"dag{number}", "t", 0.3, reason="rejected"))
    found = list(store.counts.totals("dag_id", "task_id"))
    dags = list(store.counts.totals("dag_id"))
    _record(store, Logged("dag1", "t", 0.3))
    for kind, owners in (("dag_id,task_id", found), ("dag_id", dags)):
        for _ in range(2):
            fold_unseen(store.counts, kind, owners, other="other", since=math.inf)
    dag1, other = sorted(pairs(store), key=lambda pair: pair.dag_id)
    assert (dag1.dag_id, dag1.logs) == ("dag1", 2)
    assert (other.dag_id, other.task_id, other.logs, other.rows) == ("other", "other", 2, 101)
    assert (other.failures, other.null_ratio, other.last_logged) == ({"rejected": 2}, None, None)
    assert [durations(store)[dag][0][-1] for dag in ("dag1", "other")] == [3, 4]
    for name in ("new", "dag0", "last"):
        _record(store, Logged(name, "t", 0.3))
    places = {each.labels[0]: each.place for each in store.counts.totals("dag_id", "task_id")}
    assert (places["dag1"], places["last"]) == (1, 4)
    assert sorted(places.values()) == [0, 1, 2, 3, 4]
    assert {pair.dag_id: pair.logs for pair in pairs(store)}["dag0"] == 1


def test_other_itself_and_what_is_seen_are_not_folded(store: Store) -> None:
    """Only the time since the last count matters."""
    for name in ("other", "etl"):
        store.counts.add(Count(DAG_LOGS, (name, name)))
    found = list(store.counts.totals("dag_id", "task_id"))
    fold_unseen(store.counts, "dag_id,task_id", found, other="other", since=found[1].seen)
    fold_unseen(store.counts, "dag_id,task_id", found[:1], other="other", since=math.inf)
    assert [(pair.dag_id, pair.logs) for pair in pairs(store)] == [("other", 1), ("etl", 1)]


def test_what_is_counted_while_it_is_folded_is_not_lost(
    store: Store, another: Callable[[], Store]
) -> None:
    """Owners that are folded again and again while others count them: no count is lost."""
    counting = [another() for _ in range(3)]
    counted: SimpleQueue[int] = SimpleQueue()

    def count(number: int) -> None:
        for _ in range(20):
            counting[number].counts.add(Count(DAG_LOGS, ("etl", "t")), Count(DAG_LOGS, ("ml", "t")))
            counted.put(number)

    with ThreadPoolExecutor() as pool:
        work = [pool.submit(count, number) for number in range(3)]
        for _ in range(3 * 20):
            counted.get(timeout=60)
            found = list(store.counts.totals("dag_id", "task_id"))
            fold_unseen(store.counts, "dag_id,task_id", found, other="other", since=math.inf)
    assert [each.exception() for each in work] == [None] * 3
    assert sum(pair.logs for pair in pairs(store)) == 3 * 20 * 2
