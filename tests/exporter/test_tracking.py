"""The collector that asks MLflow's API."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flowgauge.exporter.collector import MAX_TIME_LIMIT_SECONDS, Context
from flowgauge.exporter.collectors import make_collectors
from flowgauge.exporter.collectors.tracking import TrackingCollector
from flowgauge.exporter.scrape import Scrape
from flowgauge.store import open_store
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.tags import DAG_ID_TAG
from stack.mlflow import MlflowServer
from stack.unwell import canned_server


@pytest.fixture
def context(mlflow: MlflowServer, folder: Path) -> Iterator[Context]:
    """What a collector of the shared MLflow reads from."""
    with TrackingClient(mlflow.url, environ={}) as client:
        yield Context(client, open_store(f"sqlite:///{folder}/store.db"))


def _samples(collector: TrackingCollector) -> dict[tuple[str, str], float]:
    """Return what a scrape shows, by name and DAG or collector."""
    text = generate_latest(Scrape([collector])).decode()
    return {
        (sample.name, sample.labels.get("dag_id", "")): sample.value
        for found in text_string_to_metric_families(text)
        for sample in found.samples
    }


def _log_runs(client: TrackingClient, dag_id: str, starts: list[int]) -> list[str]:
    new = {"name": f"runs of {dag_id}"}
    experiment = client.call("POST", "experiments/create", new)["experiment_id"]
    tags = [{"key": DAG_ID_TAG, "value": dag_id}]
    return [
        client.call(
            "POST",
            "runs/create",
            {"experiment_id": experiment, "start_time": start, "tags": tags},
        )["run"]["info"]["run_id"]
        for start in starts
    ]


def test_no_collector_outlasts_a_scrape(context: Context) -> None:
    """Every collector's time limit leaves Prometheus' 10 s room for the answer."""
    collectors = make_collectors(context)
    assert max(each.time_limit_seconds for each in collectors) <= MAX_TIME_LIMIT_SECONDS < 10


def test_a_day_is_24_hours_to_the_millisecond(context: Context) -> None:
    """A run is recent until 24 hours after its start; after that, still RUNNING, it is stale."""
    dag_id = uuid.uuid4().hex
    started = 4_000_000_000_000
    _log_runs(context.tracking, dag_id, [started])
    day_later = started / 1000 + 24 * 3600
    at_the_edge = _samples(TrackingCollector(context, now=lambda: day_later))
    assert at_the_edge["mlflow_dag_runs", dag_id] == 1
    assert ("mlflow_dag_runs_stale", dag_id) not in at_the_edge
    after = _samples(TrackingCollector(context, now=lambda: day_later + 0.001))
    assert ("mlflow_dag_runs", dag_id) not in after
    assert after["mlflow_dag_runs_stale", dag_id] == 1


def test_the_last_run_of_a_dag_is_shown_with_its_time(context: Context) -> None:
    """When it started, and how long the last one that ended took, beside the runs by status."""
    dag_id = uuid.uuid4().hex
    # Older than the other tests look at.
    started = 4_500_000_000_000
    for run_id, took in zip(
        _log_runs(context.tracking, dag_id, [started, started + 10_000, started + 60_000]),
        [5_000, 17_500, None],
        strict=True,
    ):
        if took:
            ended = {"run_id": run_id, "status": "FAILED", "end_time": started + took}
            context.tracking.call("POST", "runs/update", ended)
    collector = TrackingCollector(context, now=lambda: started / 1000 + 60)
    shown = _samples(collector)
    assert shown["mlflow_dag_last_run_timestamp_seconds", dag_id] == started / 1000 + 60
    assert shown["mlflow_dag_last_run_duration_seconds", dag_id] == 7.5
    earlier = _samples(TrackingCollector(context, now=lambda: started / 1000 + 59))
    assert earlier["mlflow_dag_last_run_timestamp_seconds", dag_id] == started / 1000 + 10
    text = generate_latest(Scrape([collector])).decode()
    assert f'mlflow_dag_runs{{dag_id="{dag_id}",status="FAILED"}} 2.0' in text


def test_tags_of_strangers_do_not_fill_the_labels(folder: Path) -> None:
    """What is no DAG's name, and DAGs beyond the limit, are counted together; the newest time."""
    started = [("etl", 1000), ("sales", 2000), ("new", 3000), ("no name", 4000), ("x" * 251, 5000)]
    runs = [
        {
            "info": {"status": "FINISHED", "start_time": at, "end_time": at + 500},
            "data": {"tags": [{"key": DAG_ID_TAG, "value": dag_id}]},
        }
        for dag_id, at in reversed(started)
    ]
    with canned_server() as server, TrackingClient(server.url, environ={}) as client:
        server.pages = {
            "/api/2.0/mlflow/experiments/search": '{"experiments": [{"experiment_id": "0"}]}',
            "/api/2.0/mlflow/runs/search": json.dumps({"runs": runs}),
        }
        store = open_store(f"sqlite:///{folder}/store.db")
        shown = _samples(TrackingCollector(Context(client, store, max_pairs=2)))
    found = {
        name: {dag_id: value for (sample, dag_id), value in shown.items() if sample == name}
        for name in (
            "mlflow_dag_runs",
            "mlflow_dag_last_run_timestamp_seconds",
            "mlflow_dag_last_run_duration_seconds",
        )
    }
    assert found == {
        "mlflow_dag_runs": {"etl": 1, "sales": 1, "other": 3},
        "mlflow_dag_last_run_timestamp_seconds": {"etl": 1, "sales": 2, "other": 5},
        "mlflow_dag_last_run_duration_seconds": {"etl": 0.5, "sales": 0.5},
    }


def test_pages_are_read_to_the_limit(context: Context) -> None:
    """Many pages count as one list; beyond the limit the newest count, and a metric says so."""
    dag_id = uuid.uuid4().hex
    started = 5_000_000_000_000
    _log_runs(context.tracking, dag_id, [started + number for number in range(5)])

    def now() -> float:
        return started / 1000

    whole = _samples(TrackingCollector(context, now=now, page=2))
    assert whole["mlflow_dag_runs", dag_id] == 5
    assert whole["mlflow_dag_runs_limited", ""] == 0
    limited = _samples(TrackingCollector(context, now=now, page=2, limit=4))
    assert limited["mlflow_dag_runs", dag_id] == 4
    assert limited["mlflow_dag_runs_limited", ""] == 1


def test_a_slow_search_does_not_hide_that_mlflow_is_up(folder: Path) -> None:
    """If MLflow answers the probe but not the search, it is up, and the collector has failed."""
    with canned_server() as server, TrackingClient(server.url, environ={}) as client:
        server.body = json.dumps({"experiments": []})
        server.hangs = "runs/search"
        context = Context(client, open_store(f"sqlite:///{folder}/store.db"))
        samples = _samples(TrackingCollector(context))
    assert samples["mlflow_up", ""] == 1
    assert samples["flowgauge_collector_success", ""] == 0
    assert ("mlflow_dag_runs_limited", "") not in samples


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "unauthorized"), (403, "unauthorized"), (503, "unavailable")]
)
def test_it_is_told_why_mlflow_does_not_answer(folder: Path, status: int, reason: str) -> None:
    """A login that MLflow refuses is told from an MLflow that is not well."""
    with canned_server() as server, TrackingClient(server.url, environ={}) as client:
        server.status = status
        collector = TrackingCollector(Context(client, open_store(f"sqlite:///{folder}/store.db")))
        text = generate_latest(Scrape([collector])).decode()
    shown = {line for line in text.splitlines() if line.startswith("mlflow_probe_failure{")}
    assert f'mlflow_probe_failure{{reason="{reason}"}} 1.0' in shown
    assert sum(line.endswith(" 1.0") for line in shown) == 1
    assert "mlflow_up 0.0" in text


@pytest.mark.parametrize("page", [None, "<html>Sign in</html>"])
def test_a_failing_version_hides_nothing(folder: Path, page: str | None) -> None:
    """A managed MLflow without a version, or with a page in its place, still shows its runs."""
    run = {"info": {"status": "RUNNING"}, "data": {"tags": [{"key": DAG_ID_TAG, "value": "etl"}]}}
    with canned_server() as server, TrackingClient(server.url, environ={}) as client:
        server.pages = {
            "/api/2.0/mlflow/experiments/search": '{"experiments": [{"experiment_id": "0"}]}',
            "/api/2.0/mlflow/runs/search": json.dumps({"runs": [run]}),
            **({"/version": page} if page else {}),
        }
        context = Context(client, open_store(f"sqlite:///{folder}/store.db"))
        samples = _samples(TrackingCollector(context))
    assert samples["mlflow_dag_runs", "etl"] == 1
    assert samples["flowgauge_collector_success", ""] == 1
    assert ("mlflow_server_info", "") not in samples
