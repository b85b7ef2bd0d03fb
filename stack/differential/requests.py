"""What is asked: every route by every method, odd requests, and what a user does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from stack.differential.servers import Pair, Route

__all__ = ["Request", "Step", "gateway_scenario", "odd_requests", "requests", "scenario"]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}


@dataclass(frozen=True)
class Request:
    """One request; *login* are the user and password it is sent with."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    login: tuple[str, str] | None = None

    def __str__(self) -> str:
        said = f"{self.method} {self.path}"
        if self.body:
            said += f" {self.body[:60]!r}"
        return said + (" with a login" if self.login else "")


def requests(pair: Pair, *, thorough: bool = True) -> Iterator[Request]:
    """Yield requests to each route, without and with a login where there is one.

    If *thorough*, by each method and with odd bodies; else by those that it is meant for.
    """
    bodies = (b"{}", b'{"experiment_id": [7]}', b"[") if thorough else (b"{}",)
    for route in pair.routes:
        own = _own_methods(route)
        for method in _METHODS if thorough else own:
            yield from _of(route.path, method, bodies, None)
            # A password takes MLflow a tenth of a second: what is refused need not be asked again.
            if pair.login and method in own:
                yield from _of(route.path, method, bodies, pair.login)


def _own_methods(route: Route) -> Sequence[str]:
    # Flask adds these two to all.
    return [method for method in route.methods if method not in ("HEAD", "OPTIONS")] or ["GET"]


def _of(
    path: str, method: str, bodies: Sequence[bytes], login: tuple[str, str] | None
) -> Iterator[Request]:
    yield Request(method, path, login=login)
    if method in _WITH_BODY:
        json = {"Content-Type": "application/json"}
        for body in bodies:
            yield Request(method, path, body, json, login)


def odd_requests(host: str, prefix: str = "") -> list[bytes]:
    """Return requests as no client of MLflow's sends them, for a server at *host*."""
    end = f"Host: {host}\r\nConnection: close\r\n\r\n"
    api = f"{prefix}/api/2.0/mlflow/experiments/get?experiment_id=0"
    preflight = "Access-Control-Request-Method: POST\r\n"
    websocket = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    # Without this package it is no upgrade, but a request for our page.
    upgraded = ("/any", "/metrics") if find_spec("websockets") else ("/any",)
    lines = [
        *(f"GET {path} HTTP/1.1\r\n{end}" for path in _ODD_PATHS),
        *(f"{method} {api} HTTP/1.1\r\n{end}" for method in ("BREW", "TRACE", "get", "PROPFIND")),
        f"GET {api} HTTP/1.0\r\n\r\n",
        f"GET {api} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        f"GET {api} HTTP/1.1\r\nConnection: close\r\n\r\n",
        f"OPTIONS {api} HTTP/1.1\r\nOrigin: http://evil.example\r\n{preflight}{end}",
        f"GET {api} HTTP/1.1\r\nOrigin: http://{host}\r\n{end}",
        f"POST {api} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{end}2\r\n{{}}\r\n0\r\n\r\n",
        f"POST {api} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n{end}{{}}",
        f"POST {api} HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n{end}",
        f"GET {api} HTTP/1.1\r\nX-Flowgauge-Dag-Id: {'x' * 5000}\r\n{end}",
        f"GET {api} HTTP/1.1\r\nX-Long: {'x' * 100_000}\r\n{end}",
        f"GET {api} HTTP/1.1\r\nAuthorization: Basic !!!\r\n{end}",
        f"GET {api} HTTP/1.1\r\nAccept-Encoding: gzip\r\nRange: bytes=0-3\r\n{end}",
        *(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{websocket}" for path in upgraded),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ]
    return [line.encode() for line in lines] + [
        b"\x16\x03\x01\x02\x00\x01",
        b"\xff" * 100 + b"\n\n",
    ]


_ODD_PATHS = (
    *("/", "//", "/metrics/", "/Metrics", "//metrics", "/metrics%2F", "/./metrics"),
    *("/metrics/x", "/a/../metrics", "/health/", "/HEALTH", "/no/such", "/%00", "/%ff", "/%"),
    *("/api/2.0/mlflow/experiments/get?experiment_id=%ff", "/static-files/../../etc/passwd"),
    *("/static-files/%2e%2e/%2e%2e/etc/passwd", f"/{'x' * 20_000}", "/;a=b", "/?metrics"),
    *("/api/2.0/mlflow-artifacts/artifacts/../../x", "*", "http://evil.example/health"),
)


@dataclass(frozen=True)
class Step:
    """One thing that a user does; what it *keeps* of the answer, later steps may name."""

    method: str
    path: str
    json: Any = None
    content: bytes | None = None
    keeps: tuple[str, ...] = ()


def scenario() -> list[Step]:
    """Return what a user does with experiments, runs, artifacts, models, prompts and traces."""
    api, artifacts = "/api/2.0/mlflow", "/api/2.0/mlflow-artifacts/artifacts"
    run = {"experiment_id": "{experiment_id}", "run_name": "one", "start_time": 1}
    at = {"run_id": "{run_id}"}
    return [
        Step("POST", f"{api}/experiments/create", {"name": "e"}, keeps=("experiment_id",)),
        Step("POST", f"{api}/experiments/create", {"name": "e"}),
        Step("GET", f"{api}/experiments/get-by-name?experiment_name=e"),
        Step("POST", f"{api}/runs/create", run, keeps=("run", "info", "run_id")),
        Step("POST", f"{api}/runs/log-parameter", at | {"key": "p", "value": "v"}),
        Step("POST", f"{api}/runs/log-parameter", at | {"key": "p", "value": "other"}),
        Step("POST", f"{api}/runs/log-metric", at | {"key": "m", "value": 1.5, "timestamp": 1}),
        Step("POST", f"{api}/runs/log-batch", at | {"metrics": [], "params": [], "tags": []}),
        Step("POST", f"{api}/runs/set-tag", at | {"key": "t", "value": "ü\n"}),
        Step("PUT", f"{artifacts}/{{experiment_id}}/{{run_id}}/artifacts/a.txt", content=b"a" * 9),
        Step("GET", f"{artifacts}/{{experiment_id}}/{{run_id}}/artifacts/a.txt"),
        Step("GET", f"{artifacts}?path={{experiment_id}}/{{run_id}}/artifacts"),
        Step("GET", "/get-artifact?path=a.txt&run_uuid={run_id}"),
        Step("GET", f"{api}/artifacts/list?run_id={{run_id}}"),
        Step("PATCH", f"{api}/runs/update", at | {"status": "FINISHED"}),
        Step("POST", f"{api}/runs/update", at | {"status": "FINISHED", "end_time": 2}),
        Step("GET", f"{api}/runs/get?run_id={{run_id}}"),
        Step("POST", f"{api}/runs/search", {"experiment_ids": ["{experiment_id}"]}),
        Step("POST", f"{api}/registered-models/create", {"name": "m"}),
        Step("POST", f"{api}/model-versions/create", {"name": "m", "source": "runs:/{run_id}/m"}),
        Step("GET", f"{api}/registered-models/search"),
        Step("DELETE", f"{api}/registered-models/delete", {"name": "m"}),
        Step("POST", "/graphql", {"query": "{ mlflowGetExperiment { experiment { name } } }"}),
        Step("POST", "/gateway/mlflow/v1/chat/completions", {"model": "none", "messages": []}),
        Step("GET", "/gateway/mlflow/v1/models"),
        Step("POST", "/ajax-api/3.0/jobs/", {"job_name": "none", "params": {}}),
        Step("POST", "/ajax-api/3.0/jobs/search", {}),
        Step("POST", f"{api}/runs/delete", at),
        Step("POST", f"{api}/experiments/delete", {"experiment_id": "{experiment_id}"}),
        Step("GET", f"{api}/experiments/get?experiment_id={{experiment_id}}"),
    ]


def gateway_scenario(provider: str) -> list[Step]:
    """Return what a user does with MLflow's gateway before a language model at *provider*."""
    api, endpoint = "/api/3.0/mlflow/gateway", "/gateway/chat"
    secret = {
        "secret_name": "ours",
        "secret_value": {"api_key": "none"},
        "provider": "openai",
        "auth_config": {"api_base": provider},
    }
    model = {"name": "m", "secret_id": "{secret_id}", "provider": "openai", "model_name": "gpt"}
    linked = {"model_definition_id": "{model_definition_id}", "linkage_type": "PRIMARY"}
    asked = {"messages": [{"role": "user", "content": "Is it?"}]}
    return [
        Step("POST", f"{api}/secrets/create", secret, keeps=("secret", "secret_id")),
        Step(
            "POST",
            f"{api}/model-definitions/create",
            model,
            keeps=("model_definition", "model_definition_id"),
        ),
        Step(
            "POST",
            f"{api}/endpoints/create",
            {"name": "chat", "usage_tracking": False, "model_configs": [linked | {"weight": 1}]},
        ),
        Step("POST", f"{endpoint}/mlflow/invocations", asked),
        Step("POST", f"{endpoint}/mlflow/invocations", asked | {"stream": True}),
        Step("POST", f"{endpoint}/mlflow/invocations", {"messages": 1}),
        Step("POST", "/gateway/mlflow/v1/chat/completions", asked | {"model": "chat"}),
        Step("POST", "/gateway/openai/v1/chat/completions", asked | {"model": "chat"}),
        Step("GET", f"{api}/endpoints/list"),
    ]
