"""One DAG run through a real scheduler, and what it leaves behind."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from stack.airflow import airflow
from stack.mlflow import MlflowServer
from stack.process import wait_for
from tests.airflow.metrics_receiver import Received, metrics_receiver

# The first test waits for Airflow to start, which takes its time on a busy machine.
pytestmark = [pytest.mark.timeout(600), pytest.mark.whole_system(seconds=60)]

_DAGS = Path(__file__).parent / "dags"


@dataclass(frozen=True)
class Probe:
    """The finished run of `dags/probe.py`."""

    run_id: str
    runs: Mapping[str, Run]
    links: Mapping[str, Any]
    metrics: Received
    variable: Mapping[str, Any]


@pytest.fixture(scope="module")
def probe(mlflow: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """The DAG, run by scheduler, DAG processor and API server, each a process of its own."""
    folder = tmp_path_factory.mktemp("probe")
    with metrics_receiver() as metrics:
        env = {
            "MLFLOW_TRACKING_URI": mlflow.url,
            "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db",
            "FLOWGAUGE_MLFLOW_PUBLIC_URI": "https://mlflow.example.com/ui/",
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_ENDPOINT": metrics.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
        with airflow(folder / "airflow", _DAGS, env=env) as server:
            dag = f"{server.url}/api/v2/dags/probe"
            wait_for(lambda: httpx.get(dag).is_success, "Airflow knows the DAG", timeout=120)
            run_id = server.trigger("probe")
            over = {"success", "failed"}
            wait_for(lambda: server.state("probe", run_id) in over, "the run ends", timeout=240)
            assert server.state("probe", run_id) == "success"
            instances = f"{dag}/dagRuns/{run_id}/taskInstances"
            links = {
                task_id: httpx.get(f"{instances}/{task_id}/links", timeout=60).json()["extra_links"]
                for task_id in ("logs", "uses_plain_mlflow", "starts_a_program")
            }
            variable = f"{server.url}/api/v2/variables/rate_limit:mlflow_api"
            shown = json.loads(httpx.get(variable, timeout=30).raise_for_status().json()["value"])
        client = MlflowClient(mlflow.url)
        experiment = client.get_experiment_by_name("probe")
        assert experiment
        runs = client.search_runs([experiment.experiment_id])
        yield Probe(run_id, {run.info.run_name: run for run in runs}, links, metrics, shown)


def _airflow_tags(run: Run) -> dict[str, str]:
    return {name: value for name, value in run.data.tags.items() if name.startswith("airflow.")}


def test_log_call_finds_its_task(probe: Probe) -> None:
    """A task's run bears the DAG, task, DAG run and try that logged it."""
    assert _airflow_tags(probe.runs["logs"]) == {
        "airflow.dag_id": "probe",
        "airflow.task_id": "logs",
        "airflow.run_id": probe.run_id,
        "airflow.try_number": "1",
    }


def test_second_try_is_tagged_as_such(probe: Probe) -> None:
    """A task that is tried again tags its run with the number of the try."""
    assert _airflow_tags(probe.runs["tries_again"])["airflow.try_number"] == "2"


def test_program_of_a_task_is_tagged(probe: Probe) -> None:
    """A plain MLflow program that a task starts has its run tagged with that task."""
    assert _airflow_tags(probe.runs["child"]) == {
        "airflow.dag_id": "probe",
        "airflow.task_id": "starts_a_program",
        "airflow.run_id": probe.run_id,
        "airflow.try_number": "1",
    }


def test_task_links_to_its_run(probe: Probe, mlflow: MlflowServer) -> None:
    """Airflow's UI offers a link from the task to its run in MLflow, at its public address."""
    run_id = probe.runs["logs"].info.run_id
    assert probe.links["logs"] == {"MLflow run": f"https://mlflow.example.com/ui/#/runs/{run_id}"}


def test_plain_mlflow_code_has_its_link_too(probe: Probe, mlflow: MlflowServer) -> None:
    """A task that never heard of flowgauge links to its run, one whose program logged has none."""
    client = MlflowClient(mlflow.url)
    experiment = client.get_experiment_by_name("plain probe")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    link = f"https://mlflow.example.com/ui/#/runs/{run.info.run_id}"
    assert probe.links["uses_plain_mlflow"] == {"MLflow run": link}
    assert probe.links["starts_a_program"] == {"MLflow run": None}


def test_airflow_counts_the_log_calls(probe: Probe) -> None:
    """Where Airflow's metrics are on, log calls are among them."""
    assert probe.metrics.mentions("mlflow.dag_log.logged")
    assert probe.metrics.mentions("mlflow.dag_log.duration")


def test_variable_shows_the_rate_limit(probe: Probe) -> None:
    """The Variable mirrors the limit that all log calls keep, as JSON."""
    assert (probe.variable["key"], probe.variable["max_calls"]) == ("mlflow_api", 20)
    assert probe.variable["calls"] >= 1
