"""Whatever stands in MLflow's slot for an application is measured, and stays what it was."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flowgauge.errors import UsageError
from flowgauge.server.apps import application, check_arguments, load, measured_app, named_app
from flowgauge.server.logins import keep_login
from stack.mlflow import mlflow_server
from stack.process import LOOPBACK, answers, free_port, running
from tests.cli.checking import check
from tests.server.apps import PASSWORD, install
from tests.server.refusals import failure
from tests.server.scrape import ask, parse

API = "/api/2.0/mlflow/experiments/get?experiment_id=0"
REQUESTS = "mlflow_http_requests_total"
LOGIN = {"password": PASSWORD}
CREATE = "from flowgauge.server import create_app; create_app()"


@pytest.fixture
def apps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The tests' own applications, installed for this process."""
    site = install(folder / "site")
    monkeypatch.syspath_prepend(site)
    yield site
    sys.modules.pop("own_login", None)


@pytest.mark.parametrize(
    "name",
    [
        *("asgi-object", "asgi-factory", "asgi-function", "asgi-class", "asgi-cached"),
        *("wsgi-object", "wsgi-factory"),
    ],
)
def test_every_form_of_an_app_is_served(apps: Path, name: str) -> None:
    """An object, a factory, a function, ASGI or WSGI: its login refuses, and MLflow is behind."""
    app = application(load(name))
    refused = ask(app, "/version")
    assert (refused.status_code, refused.text) == (401, name[:4])
    assert ask(app, "/version", headers=LOGIN).status_code == 200


def test_what_is_no_app_is_one_sentence(apps: Path) -> None:
    """A factory that forgets to return its app is named before any request fails."""
    with pytest.raises(UsageError, match="a 'NoneType', which is neither an ASGI nor a WSGI"):
        application(load("forgetful"))


@pytest.mark.whole_system(seconds=25)
def test_the_app_of_the_variable_keeps_its_login(folder: Path) -> None:
    """FLOWGAUGE_MLFLOW_APP's app answers as without flowgauge, and its `/metrics` is refused.

    Nobody could scrape it, and `flowgauge check` says so to a task, which need not.
    """
    env = {"FLOWGAUGE_MLFLOW_APP": "wsgi-object", "PYTHONPATH": str(install(folder / "site"))}
    with mlflow_server(folder, options=("--app-name", "flowgauge"), env=env) as server:
        assert httpx.get(f"{server.url}{API}").status_code == 401
        assert httpx.get(f"{server.url}{API}", headers=LOGIN).status_code == 200
        refused = httpx.get(f"{server.url}/metrics", headers=LOGIN)
        assert refused.status_code == 403
        assert "set FLOWGAUGE_METRICS_TOKEN_FILE" in refused.text
        assert server.log.read_text().count("/metrics is refused to everybody") == 1
        task = check(folder, "--mlflow-uri", server.url, FLOWGAUGE_MLFLOW_HEADERS=json.dumps(LOGIN))
    assert task.status("login") == "ok"
    assert task.status("server app") == "failed"
    assert "everybody, Prometheus too: set FLOWGAUGE_METRICS_TOKEN" in task.message("server app")


@pytest.mark.whole_system(seconds=20)
def test_uvicorn_alone_measures_the_same_app(folder: Path) -> None:
    """An entrypoint of one's own, uvicorn and the factory, needs no preparation, and serves it."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    token = folder / "token"
    token.write_text("s3cret\n")
    env = {
        "FLOWGAUGE_MLFLOW_APP": "asgi-factory",
        "FLOWGAUGE_METRICS_TOKEN_FILE": str(token),
        "PYTHONPATH": str(install(folder / "site")),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "flowgauge.server:create_app"]
    with running(
        [*command, "--host", LOOPBACK, "--port", str(port)],
        log=folder / "log",
        env=env,
        cwd=folder,
        ready=lambda: answers(f"{url}/health"),
    ):
        assert httpx.get(f"{url}/version").status_code == 401
        assert httpx.get(f"{url}/version", headers=LOGIN).status_code == 200
        assert httpx.get(f"{url}/metrics").status_code == 401
        page = httpx.get(f"{url}/metrics", headers={"Authorization": "Bearer s3cret"})
        counted = parse(page.raise_for_status().text)
        assert counted.value(REQUESTS, route="/version", status="401") == 1
        assert counted.value(REQUESTS, route="/version", status="200") == 1


@pytest.mark.parametrize(
    ("arguments", "app"),
    [
        ("--app-name flowgauge", None),
        ("--app-name basic-auth --workers 2 --app-name flowgauge", "basic-auth"),
        ("--app-name=oidc-auth --port=1 --app-name=flowgauge", "oidc-auth"),
        ("--app-name oidc-auth --app-name=flowgauge --app-name flowgauge", "oidc-auth"),
        ("--app-name flowgauge-basic-auth --app-name flowgauge", "basic-auth"),
        ("--app-name basic-auth --app-name oidc-auth --app-name flowgauge", "oidc-auth"),
        ("--app-name flowgauge-basic-auth", "basic-auth"),
        ("--uvicorn-opts=--app-name=x --app-name flowgauge", None),
    ],
)
def test_the_earlier_app_of_the_command_line_is_found(arguments: str, app: str | None) -> None:
    """It is the app that click would have kept without flowgauge."""
    assert named_app(["server", *arguments.split()]) == app


@pytest.mark.parametrize("arguments", [[], ["-c"], ["server", "--app-name", "basic-auth"]])
def test_arguments_that_click_did_not_read_are_refused(arguments: list[str]) -> None:
    """A program that calls MLflow's command itself may have named a login that nobody sees."""
    check_arguments(["server", "--app-name=basic-auth", "--app-name", "flowgauge"], "flowgauge")
    with pytest.raises(UsageError, match=r"not started as a command .* set FLOWGAUGE_MLFLOW_APP"):
        check_arguments(arguments, "flowgauge")


def test_the_variable_and_the_command_line_agree_or_are_refused() -> None:
    """Either names the app; two different ones, or flowgauge itself, are a sentence."""
    assert measured_app(None, None) is None
    assert measured_app(None, "") is None
    assert measured_app("basic-auth", None) == "basic-auth"
    assert measured_app(None, "oidc-auth") == "oidc-auth"
    assert measured_app("basic-auth", "flowgauge-basic-auth") == "basic-auth"
    with pytest.raises(UsageError, match="'oidc-auth', and the command names 'basic-auth'"):
        measured_app("basic-auth", "oidc-auth")
    with pytest.raises(UsageError, match="FLOWGAUGE_MLFLOW_APP is 'flowgauge', flowgauge itself"):
        measured_app("basic-auth", "flowgauge")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "there is no MLflow app 'nowhere': install .*basic-auth"),
        ("mirror", "'mirror' is flowgauge itself"),
        ("broken", "cannot be imported, ModuleNotFoundError: No module named 'own_login_that"),
    ],
)
def test_an_app_that_cannot_be_measured_is_one_sentence(
    apps: Path, name: str, sentence: str
) -> None:
    """An unknown app, flowgauge under another name and a broken package are named."""
    with pytest.raises(UsageError, match=sentence) as refusal:
        load(name)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("app", "code"), [("moody", 1), ("broken", 3)])
def test_a_worker_that_fails_for_a_while_takes_no_other_with_it(
    folder: Path, app: str, code: int
) -> None:
    """By its exit code uvicorn tries again, unless the whole server could never start."""
    env = {
        "FLOWGAUGE_MLFLOW_APP": app,
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        "PYTHONPATH": str(install(folder / "site")),
        "_FLOWGAUGE_SERVER_PREPARED": "true",  # as the command tells its workers
    }
    ended, said = failure([sys.executable, "-c", CREATE], folder, **env)
    assert ended == code
    assert f"the MLflow app {app!r}" in said


@pytest.mark.parametrize(
    ("setting", "login"),
    [
        ("MLFLOW_AUTH_CONFIG_PATH", "basic-auth"),
        ("MLFLOW_AUTH_ADMIN_PASSWORD", "basic-auth"),
        ("OIDC_DISCOVERY_URL", "oidc-auth"),
        ("AUTH_PROVIDERS", "oidc-auth"),
        ("MLFLOW_K8S_AUTH_AUTHORIZATION_MODE", "kubernetes-auth"),
    ],
)
def test_no_login_is_taken_away(setting: str, login: str) -> None:
    """What configures a login refuses the plain app, names the cure, and keeps the value secret."""
    environ = {setting: "a secret value"}
    with pytest.raises(UsageError, match=f"--app-name {login} --app-name flowgauge") as refusal:
        keep_login(None, environ)
    assert setting in str(refusal.value)
    assert "a secret value" not in str(refusal.value)
    keep_login(login, environ)


@pytest.mark.parametrize("vault", ["AWS_PARAMETER_STORE", "AWS_SECRETS", "K8S_SECRETS"])
def test_a_login_in_a_vault_is_not_taken_away(vault: str) -> None:
    """Mlflow-oidc-auth may have all its settings there; of them only that is in the environment."""
    setting = f"CONFIG_{vault}_ENABLED"
    with pytest.raises(UsageError, match=f"{setting} is set, .*--app-name oidc-auth"):
        keep_login(None, {setting: "True"})
    keep_login(None, {setting: "false"})


def test_a_login_in_a_file_is_not_taken_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The `.env` that mlflow-oidc-auth would find is read as well, where that is installed."""
    file = folder / ".env"
    file.write_text("OIDC_CLIENT_ID = mlflow\nOIDC_CLIENT_SECRET = hunter2\n")
    keep_login(None, {})
    package = folder / "lib" / "mlflow_oidc_auth"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(package.parent)
    with pytest.raises(UsageError, match=f"OIDC_CLIENT_ID is set in {file}, .*oidc-auth") as said:
        keep_login(None, {})
    assert "hunter2" not in str(said.value)
    keep_login("oidc-auth", {})
    file.write_bytes(b"OIDC_CLIENT_ID=\xff")
    keep_login(None, {})
    file.write_text("OIDC_CLIENT_ID=")
    keep_login(None, {})


def test_what_is_no_login_is_none() -> None:
    """A client's login, a service of Kubernetes and an empty setting do not stop a server."""
    keep_login(
        None,
        {
            "MLFLOW_TRACKING_USERNAME": "joe",
            "MLFLOW_TRACKING_PASSWORD": "p",
            "MLFLOW_TRACKING_AUTH": "kubernetes",
            "MLFLOW_AUTH_SERVICE_HOST": "10.0.0.1",
            "MLFLOW_AUTH_PORT_80_TCP": "tcp://10.0.0.1:80",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "the community's chart sets it for everybody",
            "MLFLOW_AUTH_CONFIG_PATH": "",
        },
    )
