import subprocess
import sys
from contextlib import closing

import pytest
from mlflow import MlflowClient
from sklearn import datasets

from flowgauge.store.opening import open_store
from tests.docs.conftest import System
from tests.docs.examples import DAGS

# The first test waits for all DAGs to run, which takes its time on a busy machine.
pytestmark = [pytest.mark.timeout(600), pytest.mark.whole_system(seconds=100)]


def _client(system: System) -> MlflowClient:
    return MlflowClient(system.env["MLFLOW_TRACKING_URI"])


def test_parsing_the_dag_files_imports_nothing_heavy() -> None:
    """Airflow parses a DAG file every few seconds: no example loads MLflow, pandas or the like."""
    program = (
        "import runpy, sys\nfor file in sys.argv[1:]: runpy.run_path(file)\nprint(*sys.modules)"
    )
    files = [str(file) for file in DAGS.glob("*.py")]
    parsed = subprocess.run(
        [sys.executable, "-c", program, *files], capture_output=True, text=True, check=True
    )
    loaded = set(parsed.stdout.splitlines()[-1].split())
    assert "flowgauge.airflow.log" in loaded
    assert not loaded & {
        "mlflow",
        "pandas",
        "sklearn",
        "numpy",
        "redis",
        "flowgauge.airflow.log_call",
    }


def test_simple_example_logs_one_run(system: System) -> None:
    """The smallest DAG leaves one finished run with its figures, facts and tags."""
    (run,) = system.runs("simple")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["rows"] == len(datasets.load_wine().data)
    assert run.data.metrics["duration_ms"] > 0
    assert run.data.params == {"source": "sklearn.datasets.load_wine"}
    assert run.data.tags["airflow.dag_id"] == "simple_mlflow_example"
    assert run.data.tags["airflow.task_id"] == "log_to_mlflow"
    assert run.data.tags["airflow.try_number"] == "1"
    assert run.data.tags["source"] == "airflow"
    assert _client(system).get_experiment(run.info.experiment_id).name == "simple_experiment"


def test_dag_parameter_turns_logging_off(system: System) -> None:
    """The same DAG logs with `mlflow_enable: true` and does not with false."""
    assert len(system.runs("selective, on")) == 1
    assert system.runs("selective, off") == []


def test_etl_tracks_the_quality_of_every_table(system: System) -> None:
    """Each mapped task logs its own table, with the nulls that cleaning made and its map index."""
    runs = {run.data.params["source"]: run for run in system.runs("etl")}
    assert set(runs) == {"diabetes", "wine", "breast_cancer"}
    assert runs["wine"].data.metrics["rows"] == len(datasets.load_wine().data)
    assert all(0 < run.data.metrics["null_rate"] < 0.1 for run in runs.values())
    assert {run.data.tags["airflow.map_index"] for run in runs.values()} == {"0", "1", "2"}
    assert len({run.data.params["checksum"] for run in runs.values()}) == 3


def test_training_registers_a_model_and_keeps_an_artifact(system: System) -> None:
    """Plain MLflow code leaves a run with scores, a registered model and the importances."""
    (run,) = system.runs("training")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test_accuracy"] > 0.9
    (version,) = _client(system).search_model_versions("name = 'breast_cancer_prediction_model'")
    assert version.run_id == run.info.run_id
    artifacts = [file.path for file in _client(system).list_artifacts(run.info.run_id)]
    assert "feature_importance.csv" in artifacts


def test_plain_mlflow_code_is_tagged_with_its_task(system: System) -> None:
    """Code that has never heard of flowgauge has its run tagged with DAG, task, run and try."""
    (run,) = system.runs("training")
    tags = {name: value for name, value in run.data.tags.items() if name.startswith("airflow.")}
    assert tags == {
        "airflow.dag_id": "ml_training_pipeline",
        "airflow.task_id": "train_model",
        "airflow.run_id": system.dag_runs["training"],
        "airflow.try_number": "1",
    }


def test_code_elsewhere_is_tagged_with_its_task(system: System) -> None:
    """Also where it inherits nothing of its task's environment, and is told by one line."""
    runs = {run.data.tags["airflow.task_id"]: run.info.run_name for run in system.runs("elsewhere")}
    assert runs == {
        "in_a_python_of_its_own": "in a Python of its own",
        "without_an_environment": "by a program",
    }


def test_diabetes_example_is_a_small_pulse(system: System) -> None:
    """The demonstration's DAG logs a tenth of the table under its own name."""
    (run,) = system.runs("diabetes")
    assert run.data.metrics["rows"] == 44
    assert 0 <= run.data.metrics["null_rate"] < 0.1
    assert _client(system).get_experiment(run.info.experiment_id).name == "diabetes_quality"


def test_maintenance_deletes_old_runs(system: System) -> None:
    """A run that started 100 days ago goes to the trash, younger ones stay."""
    assert _client(system).get_run(system.before.old_run).info.lifecycle_stage == "deleted"
    (young,) = system.runs("simple")
    assert young.info.lifecycle_stage == "active"


def test_maintenance_closes_stale_runs(system: System) -> None:
    """A DAG's run that has been RUNNING for two days is closed, with a note why."""
    run = _client(system).get_run(system.before.stale_run)
    assert run.info.status == "KILLED"
    assert run.info.end_time > run.info.start_time
    assert run.data.tags["flowgauge.closed"] == "it had been RUNNING for over 1 day, 0:00:00"


def test_outbox_is_sent_on_the_way(system: System) -> None:
    """A payload that an earlier task left behind has become a run, once, and is counted."""
    experiments = [each.experiment_id for each in _client(system).search_experiments()]
    kept = f"tags.`flowgauge.log_id` = '{system.before.kept_log_id}'"
    assert len(_client(system).search_runs(experiments, kept)) == 1
    with closing(open_store(system.env["FLOWGAUGE_STORE"], timeout_seconds=60)) as store:
        assert store.outbox.entries(10) == []
