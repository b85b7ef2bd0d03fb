"""The collector that asks MLflow for its gateway's budgets and tokens."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flowgauge.exporter.collector import Context
from flowgauge.exporter.collectors.gateway import GatewayCollector
from flowgauge.exporter.scrape import Scrape
from flowgauge.store import open_store
from flowgauge.tracking.client import TrackingClient
from stack.language_model import gateway_endpoint, language_model
from stack.mlflow import MlflowServer
from stack.process import wait_for
from stack.unwell import canned_server

_Page = Mapping[tuple[str, tuple[str, ...]], float]
_BUDGET = {
    "budget_unit": "USD",
    "budget_amount": 25.5,
    "duration": {"unit": "MONTHS", "value": 1},
    "target_scope": "GLOBAL",
    "budget_action": "ALERT",
}


@contextmanager
def _collector(url: str, folder: Path) -> Iterator[Callable[[], _Page]]:
    """Yield what asks for a page, by a collector that looks each time."""
    with TrackingClient(url, environ={}, timeout_seconds=60) as client:
        store = open_store(f"sqlite:///{folder}/store.db")
        collector = GatewayCollector(Context(client, store, runs_interval_seconds=0))

        def page() -> _Page:
            text = generate_latest(Scrape([collector])).decode()
            return {
                (sample.name, tuple(sample.labels.values())): sample.value
                for found in text_string_to_metric_families(text)
                for sample in found.samples
            }

        yield page


@pytest.mark.since(mlflow="3.12")
def test_budgets_and_tokens_are_as_mlflow_reckons(measured: MlflowServer, folder: Path) -> None:
    """What a budget allows, that nothing of it is spent, and the tokens of both kinds."""
    name = f"chat-{uuid.uuid4().hex}"
    api = f"{measured.url}/api/3.0/mlflow/gateway/budgets/create"
    made = httpx.post(api, json=_BUDGET, timeout=60).raise_for_status().json()["budget_policy"]
    budget = ("ALERT", made["budget_policy_id"], "1 MONTHS", "GLOBAL")
    with language_model() as provider, _collector(measured.url, folder) as page:
        path = gateway_endpoint(measured.url, name, provider.url, tracked=True)
        began = time.time()
        assert page()["mlflow_gateway_tokens", (name, "input")] == 0
        question = {"messages": [{"role": "user", "content": "Is all well?"}]}
        for _ in range(3):
            httpx.post(f"{measured.url}{path}", json=question, timeout=60).raise_for_status()
        wait_for(
            lambda: page()["mlflow_gateway_tokens", (name, "input")] == 3, "MLflow has its traces"
        )
        shown = page()
    assert shown["mlflow_gateway_tokens", (name, "output")] == 3
    assert shown["mlflow_gateway_budget_usd", budget] == 25.5
    assert shown["mlflow_gateway_budget_spent_usd", budget] == 0
    assert began <= shown["mlflow_gateway_read_timestamp_seconds", ()] <= time.time()
    assert shown["flowgauge_collector_success", ("gateway",)] == 1


def test_an_mlflow_without_a_gateway_shows_nothing(folder: Path) -> None:
    """An older one answers 404, a managed one what it likes: neither is a failure."""
    with canned_server() as server, _collector(server.url, folder) as page:
        server.pages = {"/version": "2.22.5"}
        shown = page()
    assert not any("gateway" in name for name, _ in shown)
    assert shown["flowgauge_collector_success", ("gateway",)] == 1


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("budgets/list", '{"budget_policies": [{}]}'),
        ("budgets/list", '{"budget_policies": 1}'),
        ("endpoints/list", '{"endpoints": [[]]}'),
    ],
)
def test_what_mlflow_would_not_say_is_no_defect(folder: Path, endpoint: str, said: str) -> None:
    """It is told in a sentence, and shows nothing."""
    with canned_server() as server, _collector(server.url, folder) as page:
        server.pages = {
            f"/api/3.0/mlflow/gateway/{endpoint}": said,
            "/api/2.0/mlflow/experiments/search": "{}",
        }
        shown = page()
    assert shown["flowgauge_collector_success", ("gateway",)] == 0
