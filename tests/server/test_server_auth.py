from pathlib import Path

import httpx
import pytest

from stack.mlflow import mlflow_server
from stack.process import free_port, python_tool
from tests.server.scrape import parse
from tests.server.test_server_start import failure

pytestmark = pytest.mark.whole_system(seconds=30)

APP = ("--app-name", "flowgauge-basic-auth")
ADMIN = ("boss", "correct horse battery")
USER = ("joe", "staple correct horse")


def _env(folder: Path) -> dict[str, str]:
    configuration = folder / "basic_auth.ini"
    configuration.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{folder}/accounts.db\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(configuration),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN[0],
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "static",
    }


def test_with_accounts_the_page_is_for_admins(folder: Path) -> None:
    """MLflow's logins hold, and `/metrics` gives 401 to strangers, 403 to users, all to admins."""
    with mlflow_server(folder, options=APP, workers=2, env=_env(folder)) as server:
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
        page = parse(httpx.get(metrics, auth=ADMIN).raise_for_status().text)
        route = "/api/2.0/mlflow/users/create"
        assert page.value("mlflow_http_requests_total", route=route, status="401") == 1
        assert page.value("mlflow_http_requests_total", route=route, status="200") == 1


def test_a_missing_secret_is_one_sentence(folder: Path) -> None:
    """What MLflow needs for accounts is asked for once, before any worker starts."""
    env = _env(folder) | {"MLFLOW_FLASK_SERVER_SECRET_KEY": ""}
    artifacts = ("--artifacts-only", "--artifacts-destination", str(folder))
    command = [python_tool("mlflow"), "server", "--port", str(free_port()), *APP, *artifacts]
    code, said = failure(command, folder, **env)
    assert code == 1
    assert "set the `MLFLOW_FLASK_SERVER_SECRET_KEY` environment variable" in said
