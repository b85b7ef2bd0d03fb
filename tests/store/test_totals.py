"""What log calls count, over every kind of store."""

import math
import time
from dataclasses import replace
from uuid import uuid4

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from flowgauge.metrics import DAG_LOG_DURATION
from flowgauge.store import Deferral, Logged, PairTotals, Store

_LOGGED = Logged("etl", "load", 0.3, rows=100, null_ratio=0.25)


def _pair(store: Store) -> PairTotals:
    (pair,) = store.log_totals().pairs
    return pair


def test_an_arrived_payload_counts_its_rows_and_its_time(store: Store) -> None:
    """Logs and rows add up; the null ratio and the time are those of the last payload."""
    before = time.time()
    store.record(_LOGGED)
    store.record(replace(_LOGGED, rows=11, null_ratio=0.5))
    pair = _pair(store)
    assert (pair.dag_id, pair.task_id, pair.logs, pair.rows) == ("etl", "load", 2, 111)
    assert (pair.null_ratio, pair.failures, pair.deferred) == (0.5, {}, 0)
    assert pair.last_logged is not None
    assert before - 1 <= pair.last_logged <= time.time() + 1


def test_a_payload_without_null_ratio_keeps_the_last_one(store: Store) -> None:
    """A null ratio of 0 is a value; none at all changes nothing."""
    store.record(replace(_LOGGED, null_ratio=0.0))
    store.record(replace(_LOGGED, null_ratio=None))
    assert _pair(store).null_ratio == 0.0


def test_a_refused_payload_counts_as_failure_only(store: Store) -> None:
    """Failures are counted by reason, and are neither logs nor rows."""
    for reason in ("invalid", "invalid", "rejected"):
        store.record(replace(_LOGGED, reason=reason))
    pair = _pair(store)
    assert pair.failures == {"invalid": 2, "rejected": 1}
    assert (pair.logs, pair.rows, pair.null_ratio, pair.last_logged) == (0, 0, None, None)


def test_a_deferred_payload_counts_as_failure_and_deferral(store: Store) -> None:
    """What went into the outbox is a failed attempt of its task, its time is observed."""
    store.defer(replace(_LOGGED, reason="unreachable"), Deferral("id", "{}"))
    pair = _pair(store)
    assert (pair.logs, pair.deferred, pair.failures) == (0, 1, {"unreachable": 1})
    assert store.log_totals().durations["etl"][0][-1] == 1


def test_an_altered_payload_is_counted_once(store: Store) -> None:
    """It counts when the task logs it, wherever it goes, and not again when it arrives later."""
    altered = replace(_LOGGED, altered=True)
    store.record(altered)
    store.record(_LOGGED)
    for _ in range(2):
        store.defer(replace(altered, reason="unreachable"), Deferral("id", "{}"))
    assert _pair(store).altered == 2
    store.settle("id", altered)
    assert (_pair(store).logs, _pair(store).altered) == (3, 2)


def test_pairs_keep_the_order_in_which_they_came(store: Store) -> None:
    """Later payloads, and the names, do not change the order of pairs."""
    names = [("z", "z"), ("a", "b"), ("a", "a"), ('q"[]', "x,y"), ("ü", "日本")]
    for dag_id, task_id in [*names, *reversed(names)]:
        store.record(Logged(dag_id, task_id, 0.1))
    assert [(pair.dag_id, pair.task_id) for pair in store.log_totals().pairs] == names


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
        store.record(Logged(dag_id, "t", each))
    counts, total = store.log_totals().durations[dag_id]
    bounds = (*DAG_LOG_DURATION.buckets, math.inf)
    assert list(counts) == [sum(each <= bound for each in seconds) for bound in bounds]
    assert total == pytest.approx(sum(seconds))


def test_nothing_counted_is_nothing_shown(store: Store) -> None:
    """An empty store has no pairs, durations, windows or entries."""
    totals = store.log_totals()
    assert (list(totals.pairs), dict(totals.durations)) == ([], {})
    assert list(store.windows()) == []
    assert list(store.outbox(10)) == []
