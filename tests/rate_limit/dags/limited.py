"""A DAG whose window is full, until the operator deletes the Variable that shows it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from airflow.sdk import dag, task

from flowgauge.airflow import RateLimitExceeded, rate_limit


@rate_limit(max_calls=1, window_seconds=3600, variable_key="mlflow_api", max_wait_seconds=60)
def call() -> None:
    """Do nothing: being called is all."""


def _refused() -> bool:
    try:
        call()
    except RateLimitExceeded:
        return True
    return False


def _variables(command: str) -> str:
    # What an operator types, while the task runs.
    arguments = [sys.executable, "-m", "airflow", "variables", command, "rate_limit:mlflow_api"]
    # With metrics on, Airflow's commands log to their standard output.
    environ = {**os.environ, "AIRFLOW__METRICS__OTEL_ON": "False"}
    return subprocess.run(arguments, env=environ, capture_output=True, text=True, check=True).stdout


@dag(schedule=None)  # type: ignore[untyped-decorator]
def limited() -> None:
    """Fail unless the second call is refused before the Variable is deleted, and only before."""

    @task
    def calls_twice() -> None:
        call()
        if not _refused():
            raise AssertionError("the window holds two calls")
        Path(os.environ["AIRFLOW_HOME"], "shown.json").write_text(_variables("get"))
        _variables("delete")
        deadline = time.monotonic() + 60
        while _refused():
            if time.monotonic() > deadline:
                raise AssertionError("deleting the Variable did not reset the window")
            time.sleep(0.5)

    calls_twice()


limited()
