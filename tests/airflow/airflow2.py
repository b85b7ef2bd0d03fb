"""The log call and the rate limit on Airflow 2.11.

Not collected with the rest: `make test-airflow2` makes the environment it needs and runs it.
"""

import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flowgauge.store import open_store
from stack.dag_test import DagTestError, run_dags
from stack.mlflow import MlflowServer
from tests.counting import rate_limit

_CHECKOUT = Path(__file__).parents[2]
_BIN = _CHECKOUT / ".run" / "airflow2" / "bin"
_DAGS = Path(__file__).parent / "dags2"


def test_airflow_2_logs_and_limits(mlflow: MlflowServer, folder: Path) -> None:
    """On 2.11 tasks log with their tags, and a full window refuses the run after."""
    store_url = f"sqlite:///{folder}/store.db"
    env = {
        "PATH": f"{_BIN}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "MLFLOW_TRACKING_URI": mlflow.url,
        "FLOWGAUGE_STORE": store_url,
    }
    (folder / "airflow").mkdir()
    migrate = [str(_BIN / "airflow"), "db", "migrate"]
    subprocess.run(migrate, env={**os.environ, **env}, capture_output=True, check=True)
    python = str(_BIN / "python")
    (run_id,) = run_dags(env, _DAGS, [("probe2", {})], python=python)

    client = MlflowClient(mlflow.url)
    experiment = client.get_experiment_by_name("probe2")
    assert experiment
    runs = client.search_runs([experiment.experiment_id], order_by=["metrics.rows"])
    assert [run.data.metrics["rows"] for run in runs] == [1, 2]
    for index, run in enumerate(runs):
        tags = {name: value for name, value in run.data.tags.items() if name.startswith("airflow.")}
        assert tags == {
            "airflow.dag_id": "probe2",
            "airflow.task_id": "logs",
            "airflow.run_id": run_id,
            "airflow.map_index": str(index),
            "airflow.try_number": "1",
        }
    with closing(open_store(store_url)) as store:
        calls = [rate_limit(store, key).calls for key in ("probe2", "mlflow_api")]
    assert calls == [2, 2]
    with pytest.raises(DagTestError, match="RateLimitExceeded"):
        run_dags(env, _DAGS, [("probe2", {})], python=python)
