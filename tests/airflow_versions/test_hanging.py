"""An Airflow that hangs, of AIRFLOW_PYTHON's version."""

import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from flowgauge.store import open_store
from stack.airflow import AIRFLOW_PYTHON

_HERE = Path(__file__).parent


def _run(folder: Path, *arguments: str, **env: str) -> list[str]:
    environ = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db",
        "PYTHONPATH": str(_HERE / "probe"),
        **env,
    }
    done = subprocess.run(
        [AIRFLOW_PYTHON, *arguments], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_a_secrets_backend_that_hangs_holds_up_no_log_call(folder: Path) -> None:
    """The payload is kept, where Airflow cannot say which MLflow it is for."""
    call = "import airflow.models; from flowgauge.airflow import log_with_mlflow as log; log({})"
    _run(folder, "-c", call, AIRFLOW__SECRETS__BACKEND="hanging.HangingBackend")
    with closing(open_store(f"sqlite:///{folder}/store.db")) as store:
        assert len(store.outbox.entries(10)) == 1


@pytest.mark.since(apache_airflow="3")
def test_a_call_given_up_leaves_the_tasks_own_calls_alone(folder: Path) -> None:
    """A task that asks its supervisor, while a late answer is due to us, gets its own answer."""
    answers = _run(folder, str(_HERE / "late_supervisor.py"))[-1]
    assert answers == "(None, 'the value of theirs')"
