"""The example DAGs, and what they find."""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from flowgauge.airflow.context import Task
from flowgauge.airflow.entry import make_entry
from flowgauge.airflow.payload import read_payload
from flowgauge.airflow.run_options import RunOptions
from flowgauge.store.opening import open_store

__all__ = ["DAGS", "RUNS", "Trace", "prepare"]

DAGS = Path(__file__).parents[2] / "examples" / "dags"
_DAY_MS = 24 * 60 * 60 * 1000


# By name, the DAG and its configuration: the selective one runs twice, and so does the comparison.
RUNS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
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


@dataclass(frozen=True)
class Trace:
    """What was there before the examples ran: two runs, and a payload in the outbox."""

    old_run: str
    stale_run: str
    kept_log_id: str


def prepare(mlflow_url: str, store_url: str) -> Trace:
    """Leave what the maintenance is to find."""
    client = MlflowClient(mlflow_url)
    experiment = client.create_experiment("simple_experiment")
    now = int(time.time() * 1000)
    old = client.create_run(experiment, start_time=now - 100 * _DAY_MS)
    stale = client.create_run(
        experiment, start_time=now - 2 * _DAY_MS, tags={"airflow.dag_id": "killed"}
    )
    return Trace(old.info.run_id, stale.info.run_id, _keep_one(store_url))


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
    with closing(open_store(store_url, timeout_seconds=60)) as store:
        store.outbox.put(entry.to_keep("unreachable"))
    return entry.log_id
