"""The collector that probes MLflow."""

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
from stack.unwell import CannedServer, canned_server

_EXPERIMENTS = "/api/2.0/mlflow/experiments/search"


@pytest.fixture
def server() -> Iterator[CannedServer]:
    """What answers in the place of MLflow."""
    with canned_server() as answering:
        yield answering


@pytest.fixture
def context(server: CannedServer, folder: Path) -> Iterator[Context]:
    """What a collector of that server reads from."""
    with TrackingClient(server.url, environ={}) as client:
        yield Context(client, open_store(f"sqlite:///{folder}/store.db"))


def _samples(context: Context) -> dict[str, float]:
    text = generate_latest(Scrape([TrackingCollector(context)])).decode()
    return {
        sample.name: sample.value
        for found in text_string_to_metric_families(text)
        for sample in found.samples
    }


def test_no_collector_outlasts_a_scrape(context: Context) -> None:
    """Every collector's time limit leaves Prometheus' 10 s room for the answer."""
    collectors = make_collectors(context)
    assert max(each.time_limit_seconds for each in collectors) <= MAX_TIME_LIMIT_SECONDS < 10


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "unauthorized"), (403, "unauthorized"), (503, "unavailable")]
)
def test_it_is_told_why_mlflow_does_not_answer(
    server: CannedServer, context: Context, status: int, reason: str
) -> None:
    """A login that MLflow refuses is told from an MLflow that is not well."""
    server.status = status
    text = generate_latest(Scrape([TrackingCollector(context)])).decode()
    shown = {line for line in text.splitlines() if line.startswith("mlflow_probe_failure{")}
    assert f'mlflow_probe_failure{{reason="{reason}"}} 1.0' in shown
    assert sum(line.endswith(" 1.0") for line in shown) == 1
    assert "mlflow_up 0.0" in text


@pytest.mark.parametrize("page", [None, "<html>Sign in</html>"])
def test_a_failing_version_hides_nothing(
    server: CannedServer, context: Context, page: str | None
) -> None:
    """A managed MLflow without a version, or with a page in its place, is up all the same."""
    server.pages = {_EXPERIMENTS: "{}", **({"/version": page} if page else {})}
    samples = _samples(context)
    assert samples["mlflow_up"] == 1
    assert samples["flowgauge_collector_success"] == 1
    assert "mlflow_server_info" not in samples


def test_an_mlflow_that_is_away_is_no_failure(server: CannedServer, context: Context) -> None:
    """A server that answers nothing of MLflow is down, which is what the collector is to find."""
    server.pages = {"/version": "3.17.2"}
    samples = _samples(context)
    assert samples["mlflow_up"] == 0
    assert samples["flowgauge_collector_success"] == 1
    assert "mlflow_server_info" not in samples
