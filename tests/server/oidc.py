"""The server app around a login that is not MLflow's: the real mlflow-oidc-auth.

Not collected with the rest: `make test-oidc` makes the environment it needs and runs it there.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stack.mlflow import mlflow_server
from stack.oidc import identity_provider, oidc_login
from stack.process import wait_for
from stack.prometheus import prometheus
from tests.server.scrape import parse

API = "/api/2.0/mlflow/experiments/get?experiment_id=0"
ROUTE = "/api/2.0/mlflow/experiments/get"
STOCK = ("--app-name", "oidc-auth")
MEASURED = (*STOCK, "--app-name", "flowgauge")

# What a stranger asks, and an impostor with a bearer token of his own making.
REQUESTS = [
    (method, path, headers)
    for method, path in [
        ("GET", API),
        ("POST", "/api/2.0/mlflow/experiments/create"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/x"),
        ("POST", "/v1/traces"),
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/version"),
    ]
    for headers in ({}, {"Authorization": "Bearer e30.e30.e30"})
]


@pytest.fixture
def login(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a server whose login is an OpenID provider on loopback."""
    with identity_provider() as provider:
        yield oidc_login(provider, folder)


def _answers(url: str) -> list[tuple[int, str | None]]:
    answers = [
        httpx.request(method, url + path, headers=headers) for method, path, headers in REQUESTS
    ]
    return [(answer.status_code, answer.headers.get("www-authenticate")) for answer in answers]


def test_strangers_get_the_answers_they_got_without_flowgauge(
    folder: Path, login: dict[str, str]
) -> None:
    """Measured, mlflow-oidc-auth refuses what it refused; `/metrics` is refused, said once."""
    with mlflow_server(folder / "stock", options=STOCK, env=login) as server:
        stock = _answers(server.url)
    assert stock[0] == stock[1] == (401, stock[0][1])
    with mlflow_server(folder / "measured", options=MEASURED, env=login) as server:
        assert _answers(server.url) == stock
        assert httpx.get(f"{server.url}/metrics").status_code == 403
        assert server.log.read_text().count("/metrics is refused to everybody") == 1


def test_prometheus_reads_the_page_by_a_token(folder: Path, login: dict[str, str]) -> None:
    """With a token file Prometheus is let in, nobody else, and what strangers asked is counted."""
    token = folder / "token"
    token.write_text("s3cret\n")
    env = login | {"FLOWGAUGE_METRICS_TOKEN_FILE": str(token)}
    with mlflow_server(folder, options=MEASURED, env=env) as server:
        assert httpx.get(f"{server.url}{API}").status_code == 401
        assert httpx.get(f"{server.url}/metrics").status_code == 401
        headers = {"Authorization": "Bearer s3cret"}
        page = parse(httpx.get(f"{server.url}/metrics", headers=headers).raise_for_status().text)
        assert page.value("mlflow_http_requests_total", route=ROUTE, status="401") == 1
        address = server.url.removeprefix("http://")
        access = {"token": {"authorization": {"credentials_file": str(token)}}}
        targets = {"token": address, "stranger": address}
        with prometheus(folder / "prometheus", targets, logins=access) as scraper:
            wait_for(lambda: scraper.value('up{job="token"}') == 1, "Prometheus is let in")
            wait_for(lambda: scraper.value('up{job="stranger"}') == 0, "the stranger is not")


def test_without_its_name_the_login_is_not_taken_away(folder: Path, login: dict[str, str]) -> None:
    """A server configured for mlflow-oidc-auth does not start without it."""
    with (
        pytest.raises(Exception, match="--app-name oidc-auth --app-name flowgauge"),
        mlflow_server(folder, options=("--app-name", "flowgauge"), env=login),
    ):
        pass
