from pathlib import Path

import httpx
import pytest

from stack.mlflow import MlflowServer, accounts, mlflow_server
from stack.process import wait_for
from stack.prometheus import prometheus
from tests.server.scrape import parse

pytestmark = pytest.mark.whole_system(seconds=30)

# As a chart writes the first, and its values' extra arguments the second.
APP = ("--app-name=basic-auth", "--app-name=flowgauge")
ADMIN = ("boss", "correct horse battery")
USER = ("joe", "staple correct horse")


def test_with_accounts_the_page_is_for_admins(folder: Path) -> None:
    """MLflow's logins hold; `/metrics` gives 401 to strangers, 403 to users, all to admins.

    A token from a file opens it too, and may be replaced at any time. Prometheus scrapes both ways.
    """
    token = folder / "token"
    token.write_text("first\n")
    env = accounts(folder, ADMIN) | {
        "FLOWGAUGE_METRICS_TOKEN_FILE": str(token),
        "FLOWGAUGE_INVENTORY_SECONDS": "1",
    }
    with mlflow_server(folder, options=APP, workers=2, env=env) as server:
        create = f"{server.url}/api/2.0/mlflow/users/create"
        account = {"username": USER[0], "password": USER[1]}
        assert httpx.post(create, json=account).status_code == 401
        httpx.post(create, json=account, auth=ADMIN).raise_for_status()
        metrics = f"{server.url}/metrics"
        stranger = httpx.get(metrics)
        assert stranger.status_code == 401
        assert stranger.headers["www-authenticate"] == 'Basic realm="mlflow"'
        assert httpx.get(metrics, auth=(USER[0], "wrong")).status_code == 401
        assert httpx.get(metrics, auth=USER).status_code == 403
        assert httpx.get(metrics, auth=ADMIN).status_code == 200

        def shown(name: str, **labels: str) -> float:
            return parse(httpx.get(metrics, auth=ADMIN).text).value(name, **labels)

        def requests(status: str) -> float:
            route = "/api/2.0/mlflow/users/create"
            return shown("mlflow_http_requests_total", route=route, status=status)

        wait_for(lambda: requests("401") == requests("200") == 1, "both requests are counted")
        wait_for(lambda: shown("mlflow_users") >= 1, "users are counted")
        _let_prometheus_in(folder, server, token)


def _let_prometheus_in(folder: Path, server: MlflowServer, token: Path) -> None:
    address = server.url.removeprefix("http://")
    logins = {
        "admin": {"basic_auth": {"username": ADMIN[0], "password": ADMIN[1]}},
        "token": {"authorization": {"credentials_file": str(token)}},
        "old token": {"authorization": {"credentials": "first"}},
        "user": {"basic_auth": {"username": USER[0], "password": USER[1]}},
    }
    targets = dict.fromkeys(logins, address)
    with prometheus(folder / "prometheus", targets, logins=logins, interval="3s") as scraper:

        def up(job: str) -> float | None:
            return scraper.value(f'up{{job="{job}"}}')

        wait_for(lambda: up("admin") == up("token") == up("old token") == 1, "all three are in")
        token.write_text("second")
        wait_for(lambda: up("old token") == 0, "the old token is refused")
        wait_for(lambda: up("token") == 1, "the new token is let in")
        assert up("user") == 0
