"""Which DAG calls MLflow: from plain tasks to the server's page."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from mlflow.tracking.request_header.registry import resolve_request_headers

from stack.airflow import airflow_home
from stack.dag_test import run_dags
from stack.mlflow import MlflowServer, mlflow_server
from tests.server.scrape import Page, scrape, workers

_DAGS = Path(__file__).parent / "dags"
_FIGURES = ("requests", "runs_started", "artifact_bytes")

Notes = Mapping[str, Mapping[str, int]]


@pytest.mark.parametrize(
    ("environ", "headers"),
    [
        ({}, {}),
        (
            {"AIRFLOW_CTX_DAG_ID": "etl", "AIRFLOW_CTX_TASK_ID": "load"},
            {"Flowgauge-Dag-Id": "etl", "Flowgauge-Task-Id": "load"},
        ),
        ({"AIRFLOW_CTX_DAG_ID": "niño"}, {"Flowgauge-Dag-Id": "ni%C3%B1o"}),
        ({"AIRFLOW_CTX_TASK_ID": "load"}, {}),
        ({"AIRFLOW_CTX_DAG_ID": "etl", "FLOWGAUGE_MLFLOW_ENABLE": "false"}, {}),
        ({"FLOWGAUGE_MLFLOW_HEADERS": '{"Flowgauge-Team": "data"}'}, {"Flowgauge-Team": "data"}),
    ],
)
def test_mlflows_client_names_the_task(
    environ: dict[str, str], headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a program of a task, and nowhere else; and without a warning."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with warnings.catch_warnings(action="error"):
        sent = resolve_request_headers()
    assert {name: value for name, value in sent.items() if name.startswith("Flowgauge")} == headers


def test_malformed_headers_are_warned_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """FLOWGAUGE_MLFLOW_HEADERS that is no JSON object costs itself, and one line in the log."""
    monkeypatch.setenv("FLOWGAUGE_MLFLOW_HEADERS", "X-Key: hunter2")
    assert resolve_request_headers() == resolve_request_headers()
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "FLOWGAUGE_MLFLOW_HEADERS must be a JSON object" in warning
    assert "hunter2" not in warning


def test_whatever_airflow_does_a_request_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A context that raises costs the headers, not the request, and is no warning each time."""

    def broken() -> None:
        raise LookupError

    monkeypatch.setattr("flowgauge.airflow.context.running_context", broken)
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "etl")
    assert "Flowgauge-Dag-Id" not in resolve_request_headers()
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_the_provider_loads_nothing_heavy() -> None:
    """Neither Airflow nor MLflow nor an HTTP client, with a task around or without."""
    code = (
        "import sys; from flowgauge.airflow.request_headers import AirflowRequestHeaders as A\n"
        "assert not A().in_context() or A().request_headers()\n"
        "print({name.partition('.')[0] for name in sys.modules}"
        " & {'airflow', 'mlflow', 'httpx', 'requests', 'pydantic', 'sqlalchemy'})"
    )
    for environ in ({}, {"AIRFLOW_CTX_DAG_ID": "etl", "AIRFLOW_CTX_TASK_ID": "load"}):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == "set()"


# A task that used MLflow's functions asks at its end which run it had, for the button to it.
_FOR_THE_LINK = 1


def _notes(folder: Path) -> dict[str, Mapping[str, int]]:
    return {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}


def _counted(page: Page) -> Notes:
    """What the server counted, by task."""
    tasks = page.labels("mlflow_dag_requests_total", "task_id")
    return {
        task: {
            figure: int(page.value(f"mlflow_dag_{figure}_total", dag_id="plain", task_id=task))
            for figure in _FIGURES
        }
        for task in tasks
    }


def _run_a_program(server: MlflowServer, notes: Path) -> None:
    """Start what a task would, without Airflow around."""
    env = {
        "AIRFLOW_CTX_DAG_ID": "plain",
        "AIRFLOW_CTX_TASK_ID": "alone",
        "MLFLOW_TRACKING_URI": server.url,
        "NOTES": str(notes),
    }
    program = [sys.executable, str(_DAGS / "sending.py"), "alone"]
    subprocess.run(program, env={**os.environ, **env}, check=True)


@pytest.mark.long
@pytest.mark.whole_system(seconds=60)
@pytest.mark.timeout(600)  # servers, Airflow and scikit-learn take their time on a busy machine
def test_every_request_of_plain_tasks_is_counted_for_them(folder: Path) -> None:
    """Fluent API, autolog, artifacts, models, traces and our own client, compared with the truth.

    The tasks of a real Airflow, and programs of theirs, against two workers. A DAG that is turned
    off is not named. A killed worker's counts stay, and the next task is counted as ever.
    """
    notes = folder / "notes"
    notes.mkdir()
    with mlflow_server(folder / "mlflow", options=("--app-name", "flowgauge"), workers=2) as server:
        env = {
            "MLFLOW_TRACKING_URI": server.url,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db",
            "NOTES": str(notes),
        }
        home = airflow_home(folder / "airflow", _DAGS, env=env)
        run_dags(home, _DAGS, [("plain", {}), ("quiet", {})])
        httpx.get(f"{server.url}/version").raise_for_status()
        truth = _notes(notes)
        assert len(truth) == 6
        assert truth.pop("quiet")["requests"] > 5
        assert scrape(server.url).labels("mlflow_dag_requests_total", "dag_id") == {"plain"}
        for task in ("trains", "logs", "traces"):
            truth[task] = {**truth[task], "requests": truth[task]["requests"] + _FOR_THE_LINK}
        assert _counted(scrape(server.url)) == truth
        assert truth["trains"]["artifact_bytes"] > 1000
        victim = workers(server.pid)[0]
        victim.kill()
        victim.wait()
        assert _counted(scrape(server.url)) == truth
        _run_a_program(server, notes)
        assert _counted(scrape(server.url)) == {**truth, "alone": _notes(notes)["alone"]}
