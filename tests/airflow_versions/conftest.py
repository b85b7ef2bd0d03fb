"""An Airflow with its scheduler, in which all DAGs of the folder `dags` run."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from packaging.version import Version

from flowgauge.store import open_store
from flowgauge.store.rate_limits import rate_limits
from stack.airflow import AIRFLOW_PYTHON, Airflow, airflow, airflow_version
from stack.mlflow import MlflowServer
from stack.process import wait_for
from tests.airflow.metrics_receiver import Received, metrics_receiver

PUBLIC_URI = "https://mlflow.example.com/ui/"

_HERE = Path(__file__).parent
_RELEASE = Version(airflow_version(AIRFLOW_PYTHON)).release
_HAS_API = _RELEASE >= (3,)
# Its API shows links, and it takes OpenTelemetry's own variables.
_IS_NEW = _RELEASE >= (3, 3)


@dataclass(frozen=True)
class Visits:
    """What two runs of `dags/places.py` left, `loud` and, with mlflow_enable off, `silent`.

    `calls` is how often the rate limit was asked by both, `links` what tasks of the loud one offer.
    """

    runs: Sequence[Run]
    calls: int
    links: Mapping[str, str]


@dataclass(frozen=True)
class Probe:
    """The finished run of `dags/probe.py`."""

    run_id: str
    runs: Mapping[str, Run]
    links: Mapping[str, str]
    metrics: Received
    variable: Mapping[str, Any]


@dataclass(frozen=True)
class Scheduled:
    """What the DAG runs left; the probe runs on the newest Airflow alone."""

    visits: Visits
    probe: Probe | None


@pytest.fixture(scope="session")
def scheduled(mlflow: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Scheduled:
    """The DAGs, run by a scheduler, each task in a process of its own."""
    folder = tmp_path_factory.mktemp("scheduled")
    env = {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(_HERE / "plugins"),
        "FLOWGAUGE_MLFLOW_PUBLIC_URI": PUBLIC_URI,
        "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db",
        "MLFLOW_TRACKING_URI": mlflow.url,
        "PROBE_EXPERIMENT": folder.name,
        "PROBE_FOLDER": str(folder),
        "PYTHONPATH": str(_HERE / "probe"),
    }
    with metrics_receiver() as metrics:
        if _IS_NEW:
            env |= {
                "AIRFLOW__METRICS__OTEL_ON": "True",
                "OTEL_EXPORTER_OTLP_ENDPOINT": metrics.url,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            }
        with airflow(folder / "airflow", _HERE / "dags", env=env, python=AIRFLOW_PYTHON) as server:
            _start(server, "places", "loud")
            probe = _run_probe(server, mlflow, metrics) if _IS_NEW else None
            visits = _visit(server, mlflow, folder)
        return Scheduled(visits, probe)


def _run_probe(server: Airflow, mlflow: MlflowServer, metrics: Received) -> Probe:
    run_id = "probed"
    _start(server, "probe", run_id)
    over = {"success", "failed"}
    wait_for(
        lambda: server.state("probe", run_id) in over, "the probe ends", timeout=600, interval=0.5
    )
    assert server.state("probe", run_id) == "success"
    links = _links(server, "probe", run_id, "logs", "uses_plain_mlflow", "starts_a_program")
    variable = f"{server.url}/api/v2/variables/rate_limit:mlflow_api"
    shown = json.loads(httpx.get(variable, timeout=30).raise_for_status().json()["value"])
    runs = {run.info.run_name: run for run in _runs(mlflow, "probe")}
    return Probe(run_id, runs, links, metrics, shown)


def _visit(server: Airflow, mlflow: MlflowServer, folder: Path) -> Visits:
    # The callback of the whole DAG comes last. Where those of two runs share a process, Airflow
    # tells the second the parameters of the first.
    wait_for((folder / "loud").exists, "the run loud ends", timeout=600)
    _trigger(server, "places", "silent", mlflow_enable=False)
    wait_for((folder / "silent").exists, "the run silent ends", timeout=600)
    # If no other log call has sent what was kept, this does.
    _run(server, str(Path(AIRFLOW_PYTHON).with_name("flowgauge")), "outbox", "flush")
    links = _links(server, "places", "loud", "in_task", "fails", "keeps", "ends")
    with closing(open_store(server.env["FLOWGAUGE_STORE"], timeout_seconds=60)) as store:
        calls = sum(limit["calls"] for limit in rate_limits(store) if limit["key"] == "places")
    return Visits(_runs(mlflow, folder.name), calls, links)


def _runs(mlflow: MlflowServer, experiment: str) -> list[Run]:
    client = MlflowClient(mlflow.url)
    found = client.get_experiment_by_name(experiment)
    assert found
    return list(client.search_runs([found.experiment_id]))


def _start(server: Airflow, dag_id: str, run_id: str) -> None:
    # Fails until the DAG is known, and costs the API server as much as if it did not.
    triggered = f"{dag_id} is triggered"
    wait_for(lambda: _trigger(server, dag_id, run_id), triggered, timeout=300, interval=0.5)


def _trigger(server: Airflow, dag_id: str, run_id: str, **conf: object) -> bool:
    if _HAS_API:
        try:
            server.trigger(dag_id, conf, run_id=run_id)
        except httpx.HTTPStatusError:
            return False
        return True
    airflow_command = str(Path(AIRFLOW_PYTHON).with_name("airflow"))
    arguments = ["dags", "trigger", dag_id, "--run-id", run_id, "--conf", json.dumps(conf)]
    return _run(server, airflow_command, *arguments).returncode == 0


def _links(server: Airflow, dag_id: str, run_id: str, *tasks: str) -> Mapping[str, str]:
    """Return the link to MLflow that each task offers, empty where it offers none."""
    if _IS_NEW:
        instances = f"{server.url}/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        shown = {
            task_id: httpx.get(f"{instances}/{task_id}/links", timeout=60).raise_for_status()
            for task_id in tasks
        }
        return {
            task: each.json()["extra_links"]["MLflow run"] or "" for task, each in shown.items()
        }
    written = _run(server, AIRFLOW_PYTHON, str(_HERE / "link.py"), dag_id, run_id, *tasks).stdout
    (line,) = [line for line in written.splitlines() if line.startswith("links ")]
    found: dict[str, str] = json.loads(line.removeprefix("links "))
    return found


def _run(server: Airflow, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **server.env}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
