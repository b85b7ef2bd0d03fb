"""All example DAGs, run once in a real Airflow against a real MLflow."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from flowgauge.airflow.context import Task
from flowgauge.airflow.entry import make_entry
from flowgauge.airflow.payload import read_payload
from flowgauge.airflow.run_options import RunOptions
from flowgauge.store.opening import open_store
from stack.airflow import airflow_home
from stack.dag_test import run_dags
from stack.mlflow import MlflowServer, mlflow_server

DAGS = Path(__file__).parents[2] / "examples" / "dags"
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Example:
    """The traces that the DAG runs left."""

    client: MlflowClient
    run_ids: Mapping[str, str]
    old_run: str
    stale_run: str
    kept_log_id: str
    store_url: str

    def runs(self, name: str) -> list[Run]:
        """Return the MLflow runs that the DAG run *name* started."""
        experiments = [each.experiment_id for each in self.client.search_experiments()]
        run_id = self.run_ids[name]
        return list(self.client.search_runs(experiments, f"tags.`airflow.run_id` = '{run_id}'"))


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Every example DAG, run once; the selective one twice."""
    folder = tmp_path_factory.mktemp("examples")
    # Not the shared MLflow: maintenance would tidy up behind other tests.
    with mlflow_server(folder / "mlflow") as mlflow:
        yield _run_examples(mlflow, folder)


def _run_examples(mlflow: MlflowServer, folder: Path) -> Example:
    store_url = f"sqlite:///{folder}/store.db"
    env = airflow_home(
        folder / "airflow",
        DAGS,
        env={
            "MLFLOW_TRACKING_URI": mlflow.url,
            "AIRFLOW_VAR_MLFLOW_TRACKING_URI": mlflow.url,
            "FLOWGAUGE_STORE": store_url,
            "TMPDIR": str(folder),
        },
    )
    client = MlflowClient(mlflow.url)
    experiment = client.create_experiment("simple_experiment")
    now = int(time.time() * 1000)
    old = client.create_run(experiment, start_time=now - 100 * _DAY_MS)
    stale = client.create_run(
        experiment, start_time=now - 2 * _DAY_MS, tags={"airflow.dag_id": "killed"}
    )
    kept_log_id = _keep_one(store_url)
    runs: dict[str, tuple[str, dict[str, Any]]] = {
        "simple": ("simple_mlflow_example", {}),
        "selective, on": ("selective_logging", {"mlflow_enable": True}),
        "selective, off": ("selective_logging", {"mlflow_enable": False}),
        "etl": ("etl_quality", {}),
        "nothing to compare": ("compare_runs", {}),
        "training": ("ml_training_pipeline", {}),
        "compare": ("compare_runs", {}),
        "diabetes": ("diabetes_quality", {}),
        "elsewhere": ("elsewhere", {}),
        "maintenance": ("mlflow_maintenance", {}),
    }
    run_ids = run_dags(env, DAGS, list(runs.values()))
    return Example(
        client=client,
        run_ids=dict(zip(runs, run_ids, strict=True)),
        old_run=old.info.run_id,
        stale_run=stale.info.run_id,
        kept_log_id=kept_log_id,
        store_url=store_url,
    )


def _keep_one(store_url: str) -> str:
    entry, _ = make_entry(
        read_payload({"rows": 3}),
        Task("earlier", "load", "manual__1"),
        run_name="kept",
        experiment="simple_experiment",
        tags={},
        options=RunOptions(),
        logged_ms=int(time.time() * 1000),
    )
    with closing(open_store(store_url)) as store:
        store.outbox.put(entry.to_keep("unreachable"))
    return entry.log_id
