"""`flowgauge check` names the first broken step, and its cure."""

import os
import platform
import re
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from stack.exporter import exporter
from stack.mlflow import MlflowServer
from stack.redis import LASTING, redis_server
from stack.unwell import canned_server, raw_server
from tests.cli.checking import NOWHERE, check, run_check, run_check_command


@pytest.fixture(scope="module")
def whole(
    measured: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """MLflow with the server app, and an exporter of it: their addresses."""
    folder = tmp_path_factory.mktemp("whole")
    store = f"sqlite:///{folder}/store.db"
    with exporter(folder, mlflow_uri=measured.url, store=store) as url:
        yield measured.url, url


def test_a_whole_path_is_fine(whole: tuple[str, str], folder: Path) -> None:
    """With everything running each step says what it found, and the exit code is 0."""
    mlflow_uri, exporter_url = whole
    answer = check(folder, "--exporter-url", exporter_url, MLFLOW_TRACKING_URI=mlflow_uri)
    assert answer.exit_code == 0, answer.everything
    assert {name: step["status"] for name, step in answer.steps.items()} == {
        "installation": "ok", "tracking URI": "ok", "host name": "ok", "connection": "ok",
        "API": "ok", "login": "ok", "version": "ok", "server app": "ok", "store": "ok",
        "exporter": "ok", "Prometheus": "skipped",
    }  # fmt: skip
    assert "from the environment variable MLFLOW_TRACKING_URI" in answer.message("tracking URI")
    assert answer.message("version").startswith("MLflow 3.")


@pytest.mark.since(apache_airflow="2.11")
def test_versions_are_told(folder: Path) -> None:
    """Whatever else is broken, check says which flowgauge, Python, Airflow and store these are."""
    answer = check(folder, MLFLOW_TRACKING_URI=NOWHERE)
    installed = answer.message("installation")
    assert f"flowgauge {version('flowgauge')} on Python {platform.python_version()}" in installed
    assert f"with Airflow {version('apache-airflow')}" in installed
    assert f"sqlite:///{folder}/store.db answers, SQLite {sqlite3.sqlite_version}" in (
        answer.message("store")
    )
    with redis_server(folder / "redis", *LASTING) as store:
        in_redis = check(folder, MLFLOW_TRACKING_URI=NOWHERE, FLOWGAUGE_STORE=store)
    assert re.search(r"answers, Redis \d+\.\d+\.\d+", in_redis.message("store"))


def test_people_get_lines_and_the_first_broken_step(whole: tuple[str, str], folder: Path) -> None:
    """The text has a line for each step, and last the first broken one with its cure."""
    fine = run_check_command(folder, "--mlflow-uri", whole[0], "--exporter-url", whole[1])
    assert fine.stdout.count("ok ") == 10
    assert fine.stdout.endswith("\nNot looked at: Prometheus.\nAll is well.\n")
    broken = run_check_command(folder, "--mlflow-uri", NOWHERE, "--exporter-url", whole[1])
    assert broken.returncode == 1
    last = broken.stdout.splitlines()[-1]
    assert last.startswith("Broken is connection: ")
    assert "start the server" in last


def test_on_a_worker_no_exporter_need_be_in_reach(whole: tuple[str, str], folder: Path) -> None:
    """Without an exporter here, nor one named, that step is passed over; one named must answer."""
    unnamed = check(folder, "--mlflow-uri", whole[0])
    assert unnamed.status("exporter") == "skipped"
    assert "--exporter-url" in unnamed.message("exporter")
    assert unnamed.exit_code == 0
    named = check(folder, "--mlflow-uri", whole[0], FLOWGAUGE_EXPORTER_URL=NOWHERE)
    assert named.status("exporter") == "failed"
    assert "--skip exporter" in named.message("exporter")
    skipped = run_check(
        folder, "--mlflow-uri", whole[0], "--skip", "Exporter", FLOWGAUGE_EXPORTER_URL=NOWHERE
    )
    assert skipped.stdout.endswith("\nNot looked at: exporter, Prometheus.\nAll is well.\n")


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("exportr", "did you mean exporter?"),
        ("server", "did you mean server-app?"),
        ("tracking-uri", "there are host-name, connection"),
        ("xyz", "there are host-name, connection"),
    ],
)
def test_a_step_that_does_not_exist_cannot_be_left_out(
    folder: Path, given: str, advice: str
) -> None:
    """A wrong name after --skip is wrong usage, and the right one is guessed."""
    answer = run_check(folder, "--skip", given)
    assert answer.returncode == 2
    assert "is no step to leave out" in answer.stderr
    assert advice in answer.stderr


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
    answer = check(folder, MLFLOW_TRACKING_URI=uri, FLOWGAUGE_EXPORTER_URL=NOWHERE)
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
    assert "environments/qa.yaml" in check(folder, ENV="qa").message("tracking URI")
    by_flag = check(folder, "--mlflow-uri", NOWHERE, ENV="qa")
    assert "from --mlflow-uri" in by_flag.message("tracking URI")


@pytest.mark.since(apache_airflow="2.11")
@pytest.mark.parametrize(
    ("home", "told", "value", "shown"),
    [
        ("", "AIRFLOW_VAR_MLFLOW_TRACKING_URI", NOWHERE, f"{NOWHERE}, from the Airflow Variable"),
        (
            "ours",
            "AIRFLOW_CONN_MLFLOW_DEFAULT",
            NOWHERE.replace("://", "://me:s3cret@"),
            f"{NOWHERE.replace('://', '://me:***@')}, from the Airflow Connection mlflow_default",
        ),
    ],
)
def test_airflow_is_a_source(folder: Path, home: str, told: str, value: str, shown: str) -> None:
    """Where Airflow is set up its Variable or Connection is found, as the tasks would find it.

    It is set up where AIRFLOW_HOME says, or, without that, in ~/airflow.
    """
    if not home:
        (folder / "airflow").mkdir()
        (folder / "airflow" / "airflow.cfg").touch()
    answer = check(folder, AIRFLOW_HOME=home and str(folder / home), **{told: value})
    assert shown in answer.message("tracking URI")


@pytest.mark.parametrize("script", ["#!/nowhere/python", "#!/bin/sh\nprintf '\\377\\n'; exit 1"])
def test_an_airflow_command_that_does_not_work_is_no_source(folder: Path, script: str) -> None:
    """One whose virtualenv was moved, or that prints what is no text, is passed over."""
    (folder / "bin").mkdir()
    (folder / "bin" / "airflow").write_text(script)
    (folder / "bin" / "airflow").chmod(0o755)
    answer = check(folder, AIRFLOW_HOME=str(folder), PATH=f"{folder}/bin:{os.defpath}")
    assert answer.message("tracking URI").startswith("no MLflow is named")


@pytest.mark.parametrize("options", [[], ["--skip", "server-app", "--prometheus-url", "https://p"]])
@pytest.mark.parametrize(
    "certificates",
    # An older httpx takes no notice of a file that is not there.
    [pytest.param("/missing.pem", marks=pytest.mark.since(httpx="0.28")), "store.db"],
)
def test_certificates_that_cannot_be_loaded_are_named(
    folder: Path, certificates: str, options: list[str]
) -> None:
    """A bundle that is not there, or is none, is wrong usage, for MLflow and for Prometheus."""
    (folder / "store.db").touch()
    address = NOWHERE if options else NOWHERE.replace("http:", "https:")
    answer = check(folder, *options, MLFLOW_TRACKING_URI=address, SSL_CERT_FILE=certificates)
    step = "Prometheus" if options else "tracking URI"
    assert answer.status(step) == "failed"
    assert f"SSL_CERT_FILE={certificates} cannot be loaded" in answer.message(step)


@pytest.mark.parametrize("environ", [{}, {"ENV": "missing"}])
def test_a_wrong_configuration_exits_with_2(folder: Path, environ: dict[str, str]) -> None:
    """No tracking URI, or an ENV that does not exist, is wrong usage."""
    answer = check(folder, **environ)
    assert answer.status("tracking URI") == "failed"
    assert answer.exit_code == 2


def test_a_broken_store_is_named(folder: Path) -> None:
    """A store that cannot be used is named, without its password."""
    store = f"redis://:hunter2@{NOWHERE.removeprefix('http://')}/0"
    answer = check(folder, "--store", store, MLFLOW_TRACKING_URI=NOWHERE)
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
        (401, "", "wants a login (401): put it into --exporter-url"),
        (404, "", "it is something else"),
        (500, "", "answers 500: see its log"),
    ],
)
def test_an_exporter_that_is_unwell_is_named(
    folder: Path, status: int, body: str, said: str
) -> None:
    """What the exporter's own page says is wrong is passed on with a cure."""
    with canned_server() as server:
        server.status, server.body = status, body
        answer = check(folder, "--mlflow-uri", NOWHERE, "--exporter-url", server.url)
    assert answer.status("exporter") == "failed"
    assert said in answer.message("exporter")


def test_an_exporter_that_wants_tls_may_be_one_that_hangs_up(folder: Path) -> None:
    """Whoever asked without TLS is told that it may be that."""
    with raw_server(b"", hang_up=True) as url:
        answer = check(folder, "--mlflow-uri", NOWHERE, "--exporter-url", url)
    assert answer.message("exporter").endswith("see its log, or give https://")


def test_a_proxy_is_not_asked_for_an_exporter_on_this_machine(folder: Path) -> None:
    """Behind a proxy that answers for everything, no exporter here is still no exporter here."""
    with canned_server() as proxy:
        proxy.status = 502
        answer = check(folder, "--mlflow-uri", NOWHERE, HTTP_PROXY=proxy.url)
    assert "502" in answer.message("API")
    assert answer.status("exporter") == "skipped"


def test_an_exporter_out_of_reach_is_told_from_a_broken_one(folder: Path) -> None:
    """No way to the exporter is said to be that, with the flag that leaves it out."""
    url = "http://exporter.invalid:9877"
    answer = check(folder, "--mlflow-uri", NOWHERE, "--exporter-url", url)
    assert answer.status("exporter") == "failed"
    assert "cannot be reached from here" in answer.message("exporter")
    assert "--skip exporter" in answer.message("exporter")
