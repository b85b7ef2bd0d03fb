"""What the exporter shows of the store: rate limits, DAG logging, outbox."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from flowgauge.exporter.collector import Collector, Context
from flowgauge.exporter.collectors.dag_logging import DagLoggingCollector
from flowgauge.exporter.collectors.outbox import OutboxCollector
from flowgauge.exporter.collectors.rate_limit import RateLimitCollector
from flowgauge.metrics import EXPORTER_METRICS, RATE_LIMIT_FAIL_OPEN
from flowgauge.store import Count, Store, open_store
from flowgauge.store.log_calls import Logged, ended
from flowgauge.tracking.client import TrackingClient
from stack.exporter import exporter
from stack.process import LOOPBACK
from tests.counting import defer, pairs

_NOWHERE = f"http://{LOOPBACK}:1"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """An empty store."""
    opened = open_store(f"sqlite:///{folder}/store.db", timeout_seconds=10)
    yield opened
    opened.close()


@pytest.fixture
def context(store: Store) -> Context:
    """What collectors read from."""
    return Context(TrackingClient(_NOWHERE), store)


class _Registered:
    """A collector as prometheus_client wants it."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def describe(self) -> list[Metric]:
        """Return nothing: registering must not collect."""
        return []

    def collect(self) -> list[Metric]:
        """Collect."""
        return list(self._collector.collect())


def _scrape(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Registered(collector))
    return registry


def _samples(registry: CollectorRegistry, name: str) -> list[Sample]:
    return [s for family in registry.collect() for s in family.samples if s.name == name]


def _names(registry: CollectorRegistry) -> set[str]:
    return {sample.name for family in registry.collect() for sample in family.samples}


def test_a_rate_limit_is_shown_with_window_and_counters(context: Context) -> None:
    """Every figure of a limit is a series of its key."""
    for number in range(5):
        context.store.windows.acquire("mlflow_api", str(number), 3, 60, 0)
    context.store.windows.give_up("mlflow_api", "4", 1.5)
    context.store.counts.add(Count(RATE_LIMIT_FAIL_OPEN, ("mlflow_api",), 7))
    registry = _scrape(RateLimitCollector(context))
    shown = {
        name: registry.get_sample_value(f"mlflow_rate_limit_{name}", {"key": "mlflow_api"})
        for name in (
            "calls_total", "hits_total", "wait_seconds_total", "window_calls", "max_calls",
            "window_seconds", "fail_open_total",
        )
    }  # fmt: skip
    assert shown == {
        "calls_total": 3,
        "hits_total": 2,
        "wait_seconds_total": 1.5,
        "window_calls": 3,
        "max_calls": 3,
        "window_seconds": 60,
        "fail_open_total": 7,
    }


def test_log_calls_are_shown_by_dag_and_task(context: Context) -> None:
    """Logs, rows, deferred, altered, failures by reason, null ratio, last time and durations."""
    logged = Logged("etl", "load", 0.3, rows=100, null_ratio=0.25)
    context.store.counts.add(*ended(logged))
    context.store.counts.add(*ended(logged._replace(reason="invalid_payload")))
    unreachable = logged._replace(altered=True, reason="unreachable")
    defer(context.store, unreachable, "id")
    registry = _scrape(DagLoggingCollector(context))
    pair = {"dag_id": "etl", "task_id": "load"}
    assert registry.get_sample_value("mlflow_dag_logs_total", pair) == 1
    assert registry.get_sample_value("mlflow_dag_rows_total", pair) == 100
    assert registry.get_sample_value("mlflow_dag_logs_deferred_total", pair) == 1
    assert registry.get_sample_value("mlflow_dag_logs_altered_total", pair) == 1
    assert registry.get_sample_value("mlflow_dag_null_ratio", pair) == 0.25
    last = registry.get_sample_value("mlflow_dag_last_logged_timestamp_seconds", pair)
    assert last == pairs(context.store)[0].last_logged
    failures = "mlflow_dag_log_failures_total"
    assert registry.get_sample_value(failures, {**pair, "reason": "invalid_payload"}) == 1
    assert registry.get_sample_value(failures, {**pair, "reason": "unreachable"}) == 1
    bucket = "mlflow_dag_log_duration_seconds_bucket"
    assert registry.get_sample_value(bucket, {"dag_id": "etl", "le": "0.25"}) == 0
    assert registry.get_sample_value(bucket, {"dag_id": "etl", "le": "0.5"}) == 3
    assert registry.get_sample_value("mlflow_dag_log_duration_seconds_sum", {"dag_id": "etl"}) == (
        pytest.approx(0.9)
    )


def test_pairs_beyond_the_limit_are_summed_up_as_other(context: Context) -> None:
    """The first pairs keep their labels, the rest is other; no count is lost, and it is said."""
    for number in range(5):
        logged = Logged(f"dag{number}", "t", 0.3, rows=10**number, null_ratio=0.5)
        context.store.counts.add(*ended(logged))
        context.store.counts.add(*ended(logged._replace(reason="rejected")))
    registry = _scrape(DagLoggingCollector(replace(context, max_pairs=2)))
    other = {"dag_id": "other", "task_id": "other"}
    assert registry.get_sample_value("mlflow_dag_pairs_over_limit") == 3
    assert registry.get_sample_value("mlflow_dag_rows_total", other) == 11100
    assert registry.get_sample_value("mlflow_dag_logs_total", other) == 3
    assert (
        registry.get_sample_value("mlflow_dag_log_failures_total", {**other, "reason": "rejected"})
        == 3
    )
    assert registry.get_sample_value("mlflow_dag_null_ratio", other) is None
    newest = pairs(context.store)[4].last_logged
    assert registry.get_sample_value("mlflow_dag_last_logged_timestamp_seconds", other) == newest
    count = "mlflow_dag_log_duration_seconds_count"
    shown = {dag: registry.get_sample_value(count, {"dag_id": dag}) for dag in ("dag0", "other")}
    assert shown == {"dag0": 2, "other": 6}
    assert registry.get_sample_value(count, {"dag_id": "dag4"}) is None


def test_a_pair_that_is_forgotten_goes_on_in_other(context: Context) -> None:
    """The scrape after it shows the same sum, and a new pair gets the labels that are free."""
    for number in range(3):
        context.store.counts.add(*ended(Logged(f"dag{number}", "t", 0.3, rows=10**number)))
    later = time.time() + 91 * 24 * 3600
    ninety = replace(context, max_pairs=2, forget_seconds=90 * 24 * 3600)
    collector = DagLoggingCollector(ninety, now=lambda: later)
    shown = []
    for _ in range(2):
        registry = _scrape(collector)
        shown.append(
            {s.labels["dag_id"]: s.value for s in _samples(registry, "mlflow_dag_rows_total")}
        )
    assert shown == [{"dag0": 1, "dag1": 10, "other": 100}, {"other": 111}]
    context.store.counts.add(*ended(Logged("new", "t", 0.3, rows=7)))
    registry = _scrape(DagLoggingCollector(ninety))
    values = {s.labels["dag_id"]: s.value for s in _samples(registry, "mlflow_dag_rows_total")}
    assert values == {"other": 111, "new": 7}


def test_the_outbox_is_shown_and_the_oldest_entry_goes_with_it(context: Context) -> None:
    """Entries waiting and set aside; an empty outbox has no oldest entry."""
    for entry_id in ("good", "bad"):
        defer(context.store, Logged("etl", "load", 0), entry_id)
    context.store.outbox.set_aside("bad", "rejected", "MLflow refuses it")
    registry = _scrape(OutboxCollector(context))
    assert registry.get_sample_value("mlflow_outbox_entries") == 1
    assert registry.get_sample_value("mlflow_outbox_poison_entries") == 1
    oldest = registry.get_sample_value("mlflow_outbox_oldest_timestamp_seconds")
    assert oldest == context.store.outbox.entries(1)[0].created
    context.store.outbox.settle("good")
    registry = _scrape(OutboxCollector(context))
    assert registry.get_sample_value("mlflow_outbox_entries") == 0
    assert registry.get_sample_value("mlflow_outbox_oldest_timestamp_seconds") is None


def test_a_rate_limit_that_is_new_has_all_its_series(context: Context) -> None:
    """Counters start at 0 and not with their first event: an increase is seen from the start."""
    context.store.windows.acquire("api", "a", 1, 60, 0)
    names = _names(_scrape(RateLimitCollector(context)))
    assert names == {
        metric.name for metric in EXPORTER_METRICS if metric.name.startswith("mlflow_rate_limit_")
    }


def test_the_exporter_shows_what_another_process_wrote(folder: Path, store: Store) -> None:
    """The real exporter's page has the store's figures, though MLflow is down."""
    store.counts.add(*ended(Logged("etl", "load", 0.3, rows=100)))
    url = f"sqlite:///{folder}/store.db"
    with exporter(folder, mlflow_uri=_NOWHERE, store=url, options=["--max-dag-tasks", "1"]) as page:
        store.counts.add(*ended(Logged("etl", "second", 0.3, rows=11)))
        text = httpx.get(f"{page}/metrics", timeout=30).text
    samples = {
        (sample.name, sample.labels.get("task_id")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["mlflow_dag_rows_total", "load"] == 100
    assert samples["mlflow_dag_rows_total", "other"] == 11
    assert samples["mlflow_outbox_entries", None] == 0


def test_a_store_that_is_away_fails_its_collectors_only(folder: Path) -> None:
    """The page is still there, and says which collectors have failed."""
    away = f"redis://{LOOPBACK}:1/0"
    with exporter(folder, mlflow_uri=_NOWHERE, store=away) as page:
        text = httpx.get(f"{page}/metrics", timeout=30).text
    success = {
        sample.labels["collector"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "flowgauge_collector_success"
    }
    assert {name: success[name] for name in ("rate_limit", "dag_logging", "outbox", "build")} == {
        "rate_limit": 0,
        "dag_logging": 0,
        "outbox": 0,
        "build": 1,
    }
