"""A broken flowgauge in a whole Airflow: its parts start, DAGs are parsed and run."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient

from stack import dag_test
from stack.airflow import AIRFLOW_PYTHON, airflow, airflow_home
from stack.mlflow import MlflowServer
from stack.process import wait_for

_HERE = Path(__file__).parent
_DAGS = _HERE / "broken_dags"
# All that flowgauge needs, MLflow and Airflow's own among it.
_SERVING, _STORING = "starlette uvicorn bcrypt", "psycopg"
_READING = "pydantic yaml promql_parser"
_PACKAGES = f"click httpx prometheus_client {_SERVING} {_READING} {_STORING}"
_STORE = {"FLOWGAUGE_STORE": "redis://127.0.0.1:1/0"}
_CONFIGURATION = {
    "AIRFLOW_CONN_MLFLOW_DEFAULT": "{",
    "ENV": "broken",
    "FLOWGAUGE_DELIVERY": "never",
    "FLOWGAUGE_MLFLOW_CONN_ID": "/",
    "FLOWGAUGE_MLFLOW_HEADERS": "[",
    "FLOWGAUGE_RATE_LIMITS": "{",
}


def _broken(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """Return the environments in which something of flowgauge is broken, its files in *folder*."""
    (folder / "broken.yaml").write_bytes(b"rate_limits: \xff\0{")
    site = {"PYTHONPATH": f"{_HERE / 'broken_site'}:{_HERE / 'probe'}"}
    configuration = {**_CONFIGURATION, "FLOWGAUGE_ENVIRONMENTS": str(folder)}
    packages = {**site, "BROKEN_PACKAGES": _PACKAGES}
    return {
        "store": _STORE,
        "no store": {"FLOWGAUGE_STORE": "nonsense"},
        "packages": packages,
        "configuration": configuration,
        "half of it": {**site, "BROKEN_PACKAGES": "flowgauge.redact flowgauge.store"},
        "everything": {**_STORE, **packages, **configuration},
    }


_PARTS = ["store", "no store", "packages", "configuration", "half of it", "everything"]


@pytest.fixture
def mlflow_only(mlflow: MlflowServer, tmp_path: Path) -> Mapping[str, str]:
    """What a task needs of its environment beside what is broken."""
    store = f"sqlite:///{tmp_path}/store.db"
    return {"MLFLOW_TRACKING_URI": mlflow.url, "FLOWGAUGE_STORE": store}


@pytest.mark.whole_system(seconds=25)
@pytest.mark.parametrize("what", ["half of it", "everything"])
def test_airflow_goes_on(what: str, mlflow_only: Mapping[str, str], tmp_path: Path) -> None:
    """Providers, plugins and DAG files load, and a DAG of MLflow's own functions runs."""
    env = {**mlflow_only, **_broken(tmp_path)[what]}
    env = airflow_home(tmp_path / "airflow", _DAGS, env=env, python=AIRFLOW_PYTHON)
    *_, loaded = _run(env, str(_HERE / "probe" / "loading.py"), str(_DAGS)).splitlines()
    found = json.loads(loaded)
    is_whole = what != "half of it"
    assert (found["provider"], found["plugin"]) == (True, is_whole)
    assert found["dags"] == (["ours", "plain"] if is_whole else ["plain"])
    assert {Path(file).name for file in found["errors"]} == (set() if is_whole else {"ours.py"})
    runs = json.dumps([(dag_id, {}) for dag_id in found["dags"]])
    _run(env, dag_test.__file__, str(_DAGS), runs, str(tmp_path / "runs.json"))


def _run(env: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [AIRFLOW_PYTHON, *arguments],
        env={**os.environ, **env},
        cwd=env["AIRFLOW_HOME"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.since(apache_airflow="3.0")
@pytest.mark.parametrize("what", _PARTS)
def test_all_parts_of_airflow_go_on(
    what: str, mlflow: MlflowServer, mlflow_only: Mapping[str, str], tmp_path: Path
) -> None:
    """API server, scheduler and DAG processor get healthy, and DAGs are parsed and run."""
    env = {**mlflow_only, **_broken(tmp_path)[what]}
    runs = {"plain": "1"} if what == "half of it" else {"plain": "1", "ours": "1"}
    with airflow(tmp_path / "airflow", _DAGS, env=env, python=AIRFLOW_PYTHON) as server:

        def is_healthy() -> bool:
            health = httpx.get(f"{server.url}/api/v2/monitor/health", timeout=30).json()
            parts = ("metadatabase", "scheduler", "dag_processor")
            return all(health[part]["status"] == "healthy" for part in parts)

        wait_for(is_healthy, "all parts are healthy", timeout=300, interval=1)
        for dag_id, run_id in runs.items():

            def is_started(dag_id: str = dag_id, run_id: str = run_id) -> bool:
                try:
                    server.trigger(dag_id, run_id=run_id)
                except httpx.HTTPStatusError:
                    return False
                return True

            wait_for(is_started, f"{dag_id} is known", timeout=300, interval=0.5)
        for dag_id, run_id in runs.items():

            def state(dag_id: str = dag_id, run_id: str = run_id) -> str:
                return server.state(dag_id, run_id)

            wait_for(lambda: state() in {"success", "failed"}, f"{dag_id} ends", timeout=400)
            assert (dag_id, state()) == (dag_id, "success")
        assert is_healthy()
    experiment = MlflowClient(mlflow.url).get_experiment_by_name("plain")
    assert experiment
