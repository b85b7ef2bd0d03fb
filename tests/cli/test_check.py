"""`flowgauge check` names the first broken step, and its cure."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack.exporter import exporter
from stack.guarded import GuardedMlflow
from stack.mlflow import MlflowServer, mlflow_server
from stack.process import LOOPBACK, python_tool
from stack.unwell import canned_server

NOWHERE = f"http://{LOOPBACK}:1"  # tcpmux, which nobody serves


@dataclass(frozen=True)
class Answer:
    """What the command said: its JSON by step, the status and its exit code."""

    steps: Mapping[str, Mapping[str, str]]
    exit_code: int
    everything: str

    def status(self, step: str) -> str:
        """Return ok, failed or skipped."""
        return self.steps[step]["status"]

    def message(self, step: str) -> str:
        """Return what was found, or what is wrong and its cure."""
        return self.steps[step]["message"]


def _command(folder: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in *folder*, with a store there and nothing else set."""
    settings = {
        "PATH": str(Path(python_tool("flowgauge")).parent),
        "HOME": str(folder),
        "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db",
        "FLOWGAUGE_EXPORTER_URL": NOWHERE,
        **environ,
    }
    done = subprocess.run(
        [python_tool("flowgauge"), "check", *options],
        env=settings, cwd=folder, capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


def _check(folder: Path, *options: str, **environ: str) -> Answer:
    done = _command(folder, "--output", "json", *options, **environ)
    answer = json.loads(done.stdout)
    assert answer["ok"] == (done.returncode == 0)
    steps = {step["name"]: step for step in answer["steps"]}
    return Answer(steps, done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """MLflow with the server app, and an exporter of it: their addresses."""
    folder = tmp_path_factory.mktemp("whole")
    store = f"sqlite:///{folder}/store.db"
    with (
        mlflow_server(folder / "mlflow", options=["--app-name", "flowgauge"]) as server,
        exporter(folder, mlflow_uri=server.url, store=store) as url,
    ):
        yield server.url, url


def test_a_whole_path_is_fine(whole: tuple[str, str], folder: Path) -> None:
    """With everything running each step says what it found, and the exit code is 0."""
    mlflow_uri, exporter_url = whole
    answer = _check(folder, "--exporter-url", exporter_url, MLFLOW_TRACKING_URI=mlflow_uri)
    assert answer.exit_code == 0, answer.everything
    assert {step["status"] for step in answer.steps.values()} == {"ok"}
    assert list(answer.steps) == [
        "tracking URI", "host name", "connection", "login", "version", "server app",
        "store", "exporter",
    ]  # fmt: skip
    assert "from the environment variable MLFLOW_TRACKING_URI" in answer.message("tracking URI")
    assert answer.message("version").startswith("MLflow 3.")
    assert f"sqlite:///{folder}/store.db answers" in answer.message("store")


def test_people_get_lines_and_the_first_broken_step(whole: tuple[str, str], folder: Path) -> None:
    """The text has a line for each step, and last the first broken one with its cure."""
    fine = _command(folder, "--mlflow-uri", whole[0], "--exporter-url", whole[1])
    assert fine.stdout.count("ok ") == 8
    assert fine.stdout.endswith("All is well.\n")
    broken = _command(folder, "--mlflow-uri", NOWHERE, "--exporter-url", whole[1])
    assert broken.returncode == 1
    last = broken.stdout.splitlines()[-1]
    assert last.startswith("Broken is connection: ")
    assert "start the server" in last


def test_a_stock_mlflow_lacks_the_server_app(mlflow: MlflowServer, folder: Path) -> None:
    """A MLflow without the server app is told apart, and how to start it with it is said."""
    answer = _check(folder, "--mlflow-uri", mlflow.url)
    assert answer.status("version") == "ok"
    assert answer.status("server app") == "failed"
    assert "--app-name flowgauge" in answer.message("server app")
    assert answer.exit_code == 1


def test_a_wrong_password_is_the_login(guarded: GuardedMlflow, folder: Path) -> None:
    """A login that is refused fails at that step; no password is printed."""
    uri = guarded.url.replace("://", "://admin:hunter2@")
    trust = str(guarded.certificate.cert)
    answer = _check(folder, MLFLOW_TRACKING_URI=uri, MLFLOW_TRACKING_SERVER_CERT_PATH=trust)
    assert answer.status("connection") == "ok"
    assert "does not accept the login" in answer.message("login")
    assert answer.status("version") == "skipped"
    assert "hunter2" not in answer.everything
    assert "admin:***@" in answer.message("tracking URI")


@pytest.mark.parametrize(
    ("uri", "step", "cure"),
    [
        ("http://mlflow.invalid", "host name", "correct the host"),
        (NOWHERE, "connection", "start the server"),
        ("mlflow.example.com", "tracking URI", "give http://HOST:PORT"),
    ],
)
def test_each_step_has_its_cure(folder: Path, uri: str, step: str, cure: str) -> None:
    """What fails is named, and what depends on it is skipped while the rest is still tried."""
    answer = _check(folder, MLFLOW_TRACKING_URI=uri)
    names = list(answer.steps)
    assert answer.status(step) == "failed"
    assert cure in answer.message(step)
    assert all(answer.status(name) == "ok" for name in names[: names.index(step)])
    assert answer.status("server app") == "skipped"
    assert answer.status("store") == "ok"
    assert "start `flowgauge exporter`" in answer.message("exporter")


def test_the_environment_file_and_the_flag_are_sources(folder: Path) -> None:
    """The source is named: the file that ENV chose, or the flag, which wins."""
    (folder / "environments").mkdir()
    (folder / "environments" / "qa.yaml").write_text("domains: {mlflow: mlflow.invalid}")
    assert "environments/qa.yaml" in _check(folder, ENV="qa").message("tracking URI")
    by_flag = _check(folder, "--mlflow-uri", NOWHERE, ENV="qa")
    assert "from --mlflow-uri" in by_flag.message("tracking URI")


@pytest.mark.parametrize(
    ("told", "value", "shown"),
    [
        ("AIRFLOW_VAR_MLFLOW_TRACKING_URI", NOWHERE, f"{NOWHERE}, from the Airflow Variable"),
        (
            "AIRFLOW_CONN_MLFLOW_DEFAULT",
            NOWHERE.replace("://", "://me:s3cret@"),
            f"{NOWHERE.replace('://', '://me:***@')}, from the Airflow Connection mlflow_default",
        ),
    ],
)
def test_airflow_is_a_source(folder: Path, told: str, value: str, shown: str) -> None:
    """Where Airflow is set up its Variable or Connection is found, as the tasks would find it."""
    answer = _check(folder, AIRFLOW_HOME=str(folder), **{told: value})
    assert shown in answer.message("tracking URI")


@pytest.mark.parametrize("environ", [{}, {"ENV": "missing"}])
def test_a_wrong_configuration_exits_with_2(folder: Path, environ: dict[str, str]) -> None:
    """No tracking URI, or an ENV that does not exist, is wrong usage."""
    answer = _check(folder, **environ)
    assert answer.status("tracking URI") == "failed"
    assert answer.exit_code == 2


def test_a_proxy_is_the_next_hop(folder: Path) -> None:
    """With a proxy set, it is the proxy that must resolve and accept connections."""
    answer = _check(folder, "--mlflow-uri", "http://mlflow.invalid", HTTP_PROXY=NOWHERE)
    assert f"through the proxy {LOOPBACK}" in answer.message("tracking URI")
    assert answer.status("host name") == "ok"
    assert answer.status("connection") == "failed"


def test_a_broken_store_is_named(folder: Path) -> None:
    """A store that cannot be used is named, without its password."""
    store = f"redis://:hunter2@{NOWHERE.removeprefix('http://')}/0"
    answer = _check(folder, "--store", store, MLFLOW_TRACKING_URI=NOWHERE)
    assert answer.status("store") == "failed"
    assert "hunter2" not in answer.everything


_BUILD = 'flowgauge_build_info{version="1"} 1\n'
_FAILING = 'flowgauge_collector_success{collector="outbox"} 0\n'


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "<html>hello</html>", "is not flowgauge's"),
        (200, f"{_BUILD}mlflow_up 0\n", "does not reach MLflow"),
        (200, f"{_BUILD}mlflow_up 1\n{_FAILING}", "cannot collect outbox"),
        (401, "", "put its login into --exporter-url"),
    ],
)
def test_an_exporter_that_is_unwell_is_named(
    folder: Path, status: int, body: str, said: str
) -> None:
    """What the exporter's own page says is wrong is passed on with a cure."""
    with canned_server() as server:
        server.status, server.body = status, body
        answer = _check(folder, "--mlflow-uri", NOWHERE, "--exporter-url", server.url)
    assert answer.status("exporter") == "failed"
    assert said in answer.message("exporter")
