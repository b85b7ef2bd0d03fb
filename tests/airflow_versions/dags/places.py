"""A DAG that uses flowgauge wherever DAG code runs. For Airflow 2 and 3."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import dag, task
except ImportError:
    # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]
    from airflow.operators.bash import BashOperator

from probing import probe

from flowgauge.airflow import task_env

# What a pod has of its own: it inherits nothing.
_OWN = ("FLOWGAUGE_STORE", "MLFLOW_TRACKING_URI", "PROBE_EXPERIMENT", "PYTHONPATH")


def after_success(_context: Mapping[str, Any]) -> None:
    """Run in the task's process."""
    probe("success callback")


def after_failure(_context: Mapping[str, Any]) -> None:
    """Run in the task's process too."""
    probe("failure callback")


def after_all(context: Mapping[str, Any]) -> None:
    """Run in the process that parses DAG files."""
    probe("dag callback")
    Path(os.environ["PROBE_FOLDER"], context["run_id"]).touch()


@dag(schedule=None, params={"mlflow_enable": True}, on_success_callback=after_all)
def places() -> None:
    """Log from every place."""

    @task(on_success_callback=after_success)
    def in_task() -> None:
        probe("task")

    @task
    def mapped(index: int) -> None:
        probe(f"mapped {index}")

    @task.bash
    def program() -> str:
        return f"{sys.executable} -c \"import probing; probing.probe('program')\""

    @task.bash
    def mapped_program(index: int) -> str:
        return f"{sys.executable} -c \"import probing; probing.probe('mapped program {index}')\""

    elsewhere = BashOperator.partial(
        task_id="elsewhere", env={**task_env(), **{name: os.environ.get(name, "") for name in _OWN}}
    ).expand(bash_command=[f"{sys.executable} -c \"import probing; probing.probe('elsewhere 0')\""])

    @task.external_python(python=sys.executable)
    def external_python() -> None:
        import probing  # noqa: PLC0415 - in a Python of its own

        probing.probe("external python")

    @task(on_failure_callback=after_failure)
    def fails() -> None:
        raise RuntimeError("as it should")

    @task
    def keeps() -> None:
        os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
        probe("kept")

    @task
    def listened_to() -> None:
        """Is logged by the listener in plugins/listening.py."""

    @task(trigger_rule="all_done")
    def ends() -> None:
        """Make the run a success."""

    [
        in_task(),
        mapped.expand(index=[0, 1]),
        program(),
        mapped_program.expand(index=[0, 1]),
        external_python(),
        fails(),
        keeps(),
        elsewhere,
        listened_to(),
    ] >> ends()


places()
