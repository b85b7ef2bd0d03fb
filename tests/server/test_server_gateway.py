"""Requests to MLflow's gateway, to a provider of the test's own."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler

import httpx
import pytest

from stack.http_server import serving
from stack.mlflow import MlflowServer
from tests.server.scrape import Change, scrape

pytestmark = pytest.mark.since(mlflow="3.12")

API = "/api/3.0/mlflow/gateway"
ROUTE = "/gateway/{endpoint_name}/mlflow/invocations"
THINKS_SECONDS = 0.06


class _Provider(BaseHTTPRequestHandler):
    """Answers as OpenAI does, unless it is asked to fail."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(THINKS_SECONDS)
        message = {"role": "assistant", "content": "Yes."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        answer = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [choice],
            "usage": usage,
        }
        fails = asked["messages"][0]["content"] == "fail"
        body = json.dumps({"error": {"message": "overloaded"}} if fails else answer).encode()
        self.send_response(503 if fails else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Be silent."""


def _made(server: MlflowServer, what: str, wanted: Mapping[str, object]) -> dict[str, str]:
    response = httpx.post(f"{server.url}{API}/{what}/create", json=wanted, timeout=30)
    assert response.is_success, response.text
    made: dict[str, str]
    [made] = response.json().values()
    return made


@pytest.fixture(scope="module")
def endpoint(measured: MlflowServer) -> Iterator[str]:
    """The address of an endpoint of the gateway."""
    name = f"chat-{uuid.uuid4().hex}"
    with serving(_Provider) as provider:
        secret = {
            "secret_name": name,
            "secret_value": {"api_key": "k"},
            "provider": "openai",
            "auth_config": {"api_base": f"{provider}/v1"},
        }
        model = {
            "name": name,
            "secret_id": _made(measured, "secrets", secret)["secret_id"],
            "provider": "openai",
            "model_name": "gpt",
        }
        of_it = {
            "model_definition_id": _made(measured, "model-definitions", model)[
                "model_definition_id"
            ],
            "linkage_type": "PRIMARY",
            "weight": 1,
        }
        _made(measured, "endpoints", {"name": name, "model_configs": [of_it]})
        yield f"{measured.url}/gateway/{name}/mlflow/invocations"


def _ask(endpoint: str, words: str) -> int:
    message = {"role": "user", "content": words}
    return httpx.post(endpoint, json={"messages": [message]}, timeout=30).status_code


def test_the_providers_time_is_told_from_mlflows_own(
    measured: MlflowServer, endpoint: str, change: Change
) -> None:
    """By route: together they are about what the request took, and the provider's is its own."""
    assert _ask(endpoint, "Is it?") == 200
    assert change.of("mlflow_gateway_requests_total", route=ROUTE, status="200") == 1
    provider = change.of("mlflow_gateway_provider_seconds_sum", route=ROUTE)
    overhead = change.of("mlflow_gateway_overhead_seconds_sum", route=ROUTE)
    whole = change.of("mlflow_http_request_duration_seconds_sum", route=ROUTE)
    assert provider >= THINKS_SECONDS - 0.001  # MLflow gives whole milliseconds
    assert provider + overhead <= whole + 0.001
    assert change.of("mlflow_gateway_overhead_seconds_count", route=ROUTE) == 1
    assert "chat-" not in scrape(measured.url).text


def test_a_provider_that_fails_is_counted_by_its_status(
    measured: MlflowServer, endpoint: str, change: Change
) -> None:
    """As MLflow passes it on; an endpoint that does not exist has no provider's time."""
    assert _ask(endpoint, "fail") == 503
    assert change.of("mlflow_gateway_requests_total", route=ROUTE, status="503") == 1
    times = change.of("mlflow_gateway_provider_seconds_count", route=ROUTE)
    assert _ask(f"{measured.url}/gateway/no-such/mlflow/invocations", "Is it?") == 404
    assert change.of("mlflow_gateway_requests_total", route=ROUTE, status="404") == 1
    assert change.of("mlflow_gateway_provider_seconds_count", route=ROUTE) == times
