"""What one DAG run through a real scheduler leaves in MLflow, in Airflow's metrics and its UI."""

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from stack.mlflow import MlflowServer
from tests.airflow_versions.conftest import PUBLIC_URI, Probe, Scheduled

# The first test waits for Airflow to start, which takes its time on a busy machine.
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.whole_system(seconds=70),
    pytest.mark.since(apache_airflow="3.3"),
]


@pytest.fixture
def probe(scheduled: Scheduled) -> Probe:
    """What the DAG run left."""
    assert scheduled.probe
    return scheduled.probe


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


def test_task_links_to_its_run(probe: Probe) -> None:
    """Airflow's UI offers a link from the task to its run in MLflow, at its public address."""
    run_id = probe.runs["logs"].info.run_id
    assert probe.links["logs"] == f"{PUBLIC_URI}#/runs/{run_id}"


def test_plain_mlflow_code_has_its_link_too(probe: Probe, mlflow: MlflowServer) -> None:
    """A task that never heard of flowgauge links to its run, one whose program logged has none."""
    client = MlflowClient(mlflow.url)
    experiment = client.get_experiment_by_name("plain probe")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    assert probe.links["uses_plain_mlflow"] == f"{PUBLIC_URI}#/runs/{run.info.run_id}"
    assert probe.links["starts_a_program"] == ""


def test_airflow_counts_the_log_calls(probe: Probe) -> None:
    """Where Airflow's metrics are on, log calls are among them."""
    assert probe.metrics.mentions("mlflow.dag_log.logged")
    assert probe.metrics.mentions("mlflow.dag_log.duration")


def test_variable_shows_the_rate_limit(probe: Probe) -> None:
    """The Variable mirrors the limit that all log calls keep, as JSON."""
    assert (probe.variable["key"], probe.variable["max_calls"]) == ("mlflow_api", 20)
    assert probe.variable["calls"] >= 1
