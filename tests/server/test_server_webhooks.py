"""Webhooks that MLflow delivers, to a real receiver."""

import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import httpx
import pytest

from flowgauge.server.mlflow_host import observe_webhooks
from stack.http_server import serving
from stack.mlflow import MlflowServer
from stack.process import LOOPBACK, free_port, wait_for
from tests.server.scrape import Change, scrape

API = "/api/2.0/mlflow"
DELIVERIES = "mlflow_webhook_deliveries_total"
FAILURES = "mlflow_webhook_delivery_failures_total"
EVENT = "registered_model.created"


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.path == "/here" else 410)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Be silent."""


@pytest.fixture
def webhooks(measured: MlflowServer) -> Iterator[dict[str, str]]:
    """Three webhooks of one event, by what becomes of them: their ids."""
    ids = {}
    with serving(_Receiver) as receiver:
        for name, url in {
            "arrives": f"{receiver}/here",
            "is-refused": f"{receiver}/gone",
            "reaches-nobody": f"http://{LOOPBACK}:{free_port()}/",
        }.items():
            webhook = {
                "name": name,
                "url": url,
                "events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}],
            }
            made = httpx.post(f"{measured.url}{API}/webhooks", json=webhook, timeout=30)
            ids[name] = made.raise_for_status().json()["webhook"]["webhook_id"]
        yield ids
        for webhook_id in ids.values():
            httpx.delete(f"{measured.url}{API}/webhooks/{webhook_id}").raise_for_status()


def test_deliveries_are_counted_and_those_that_fail(
    measured: MlflowServer, webhooks: dict[str, str], change: Change
) -> None:
    """By event: what arrives, what is refused, what reaches nobody; and a test from the UI too."""
    model = {"name": uuid.uuid4().hex}
    httpx.post(f"{measured.url}{API}/registered-models/create", json=model).raise_for_status()
    wait_for(lambda: change.of(DELIVERIES, event=EVENT) == 3, "three webhooks were sent")
    wait_for(lambda: change.of(FAILURES, event=EVENT) == 2, "two have not arrived")
    tested = httpx.post(f"{measured.url}{API}/webhooks/{webhooks['is-refused']}/test", json={})
    assert tested.json()["result"]["success"] is False
    assert change.of(DELIVERIES, event=EVENT) == 4
    assert change.of(FAILURES, event=EVENT) == 3


def test_every_event_is_shown_from_the_start(measured: MlflowServer) -> None:
    """With 0: what is not shown is not counted."""
    page = scrape(measured.url)
    for name in (DELIVERIES, FAILURES):
        assert {EVENT, "model_version_alias.created"} <= page.labels(name, "event")


def test_an_unknown_way_to_deliver_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then MLflow is not touched, and there are no events to show."""
    delivery = pytest.importorskip("mlflow.webhooks.delivery")

    def send(webhook: SimpleNamespace, event: SimpleNamespace) -> None:
        """Deliver in another way."""

    monkeypatch.setattr(delivery, "_send_webhook_request", send)
    assert observe_webhooks(lambda _event, _answer: None) == ()
    assert delivery._send_webhook_request is send
