"""`flowgauge check` of a stock MLflow, and of one that is guarded: what trouble it is."""

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from stack.forward_proxy import forward_proxy
from stack.guarded import GuardedMlflow, guarded_mlflow
from stack.mlflow import MlflowServer
from stack.unwell import canned_server
from tests.cli.checking import Answer, check

pytestmark = pytest.mark.whole_system(seconds=60)

TASK = ("task", "staple correct horse battery")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedMlflow]:
    """A MLflow with accounts and the server app, and the account of a task."""
    folder = tmp_path_factory.mktemp("measured")
    with guarded_mlflow(folder, "flowgauge-basic-auth") as server:
        httpx.post(
            f"{server.url}/api/2.0/mlflow/users/create",
            json={"username": TASK[0], "password": TASK[1]},
            auth=(server.user, server.password),
            verify=ssl.create_default_context(cafile=server.certificate.cert),
        ).raise_for_status()
        yield server


def _check(
    server: GuardedMlflow, folder: Path, login: tuple[str, str] | None, **environ: str
) -> Answer:
    names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    settings: Mapping[str, str] = dict(zip(names, login or (), strict=False))
    trust = str(server.certificate.cert)
    return check(
        folder, "--mlflow-uri", server.url, MLFLOW_TRACKING_SERVER_CERT_PATH=trust,
        **settings, **environ,
    )  # fmt: skip


@pytest.mark.since(mlflow="3.17")
def test_an_admin_sees_everything(measured: GuardedMlflow, folder: Path) -> None:
    """An admin's login reaches the metrics page."""
    answer = _check(measured, folder, (measured.user, measured.password))
    assert answer.exit_code == 0, answer.everything
    assert answer.message("server app") == "MLflow's metrics page is flowgauge's"


@pytest.mark.since(mlflow="3.17")
def test_a_task_needs_no_admin(measured: GuardedMlflow, folder: Path) -> None:
    """A login that may log runs and not see the metrics is well as it is."""
    answer = _check(measured, folder, TASK)
    assert answer.exit_code == 0, answer.everything
    assert answer.message("server app").startswith(
        "MLflow's metrics page is for its admins, as it should be"
    )


def test_a_stock_mlflow_lacks_the_server_app(mlflow: MlflowServer, folder: Path) -> None:
    """Beside a MLflow without the server app, all is well only for who leaves that step out."""
    answer = check(folder, "--mlflow-uri", mlflow.url)
    assert answer.status("version") == "ok"
    assert answer.status("server app") == "failed"
    assert "--app-name flowgauge" in answer.message("server app")
    assert "--skip server-app" in answer.message("server app")
    assert answer.exit_code == 1
    skipping = check(folder, "--mlflow-uri", mlflow.url, "--skip", "server-app")
    assert skipping.message("server app") == "left out by --skip"
    assert skipping.exit_code == 0


def test_no_login_is_told_from_a_wrong_one(guarded: GuardedMlflow, folder: Path) -> None:
    """Who gave none is told what to set, who gave a wrong one what to correct."""
    none = _check(guarded, folder, None)
    assert none.status("API") == "ok"
    assert "was given none: set MLFLOW_TRACKING_USERNAME" in none.message("login")
    wrong = _check(guarded, folder, ("admin", "hunter2"))
    assert "a user and a password: correct MLFLOW_TRACKING_USERNAME" in wrong.message("login")
    for answer in (none, wrong):
        assert answer.status("login") == "failed"
        assert answer.status("version") == "skipped"
        assert answer.exit_code == 1
        assert "hunter2" not in answer.everything


def test_a_wrong_token_is_named(folder: Path) -> None:
    """A token that is refused, which MLflow's own login answers with 500, is told as that."""
    with canned_server() as server:
        server.status = 401
        answer = check(folder, "--mlflow-uri", server.url, MLFLOW_TRACKING_TOKEN="hunter2")
    assert answer.status("API") == "ok"
    assert "a token: correct MLFLOW_TRACKING_TOKEN" in answer.message("login")
    assert "hunter2" not in answer.everything


def test_a_login_in_the_uri_is_not_shown(guarded: GuardedMlflow, folder: Path) -> None:
    """The URI is printed without the password in it."""
    uri = guarded.url.replace("://", "://admin:hunter2@")
    trust = str(guarded.certificate.cert)
    answer = check(folder, MLFLOW_TRACKING_URI=uri, MLFLOW_TRACKING_SERVER_CERT_PATH=trust)
    assert answer.status("login") == "failed"
    assert "admin:***@" in answer.message("tracking URI")
    assert "hunter2" not in answer.everything


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, "<h1>404 Not Found</h1>", "is not MLflow (404"),
        (500, "<h1>Internal Server Error</h1>", "cannot answer now (500"),
        (200, "<form><input type='password'></form>", "a page where people log in"),
        (200, "<h1>Welcome to nginx!</h1>", "is not MLflow (200"),
        (200, "", "is not MLflow (200"),
        (200, "{}", "is not MLflow (no experiment"),
    ],
)
def test_what_is_no_login_is_not_blamed_on_it(
    folder: Path, status: int, body: str, said: str
) -> None:
    """A wrong path, a fault, a page for people, an empty one: each is told, at the step before."""
    with canned_server() as server:
        server.status, server.body = status, body
        answer = check(folder, "--mlflow-uri", server.url)
    assert answer.status("API") == "failed"
    assert said in answer.message("API")
    assert answer.status("login") == "skipped"


def test_a_proxy_leads_to_a_guarded_mlflow(guarded: GuardedMlflow, folder: Path) -> None:
    """Behind a real forward proxy, that is what is connected to, and MLflow is what answers."""
    login = (guarded.user, guarded.password)
    with forward_proxy(folder / "proxy") as proxy:
        answer = _check(guarded, folder, login, HTTPS_PROXY=proxy)
    place = proxy.removeprefix("http://")
    assert f"through the proxy {place}" in answer.message("tracking URI")
    assert answer.message("connection") == f"{place} accepts connections"
    assert answer.status("version") == "ok", answer.everything
    gone = _check(guarded, folder, login, HTTPS_PROXY=proxy)
    assert gone.status("connection") == "failed"
    assert "HTTPS_PROXY" in gone.message("connection")
    around = _check(guarded, folder, login, HTTPS_PROXY=proxy, NO_PROXY="127.0.0.1")
    assert around.status("version") == "ok", around.everything
