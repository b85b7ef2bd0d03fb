"""Which Airflow task is running: found by itself, in the task and in programs it starts."""

import os
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, NamedTuple

from flowgauge.airflow.host.running import resumed_by, running_context
from flowgauge.tracking.tags import (
    DAG_ID_TAG,
    MAP_INDEX_TAG,
    RUN_ID_TAG,
    TASK_ID_TAG,
    TRY_NUMBER_TAG,
)

__all__ = ["Task", "current_pair", "current_task", "tell_programs"]

# Airflow sets these for the task's own process and so for every program it starts.
# https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/operators.html
_DAG_ID = "AIRFLOW_CTX_DAG_ID"
_TASK_ID = "AIRFLOW_CTX_TASK_ID"
_RUN_ID = "AIRFLOW_CTX_DAG_RUN_ID"
_TRY_NUMBER = "AIRFLOW_CTX_TRY_NUMBER"
# What Airflow leaves out, and our listener adds.
_MAP_INDEX = "FLOWGAUGE_MAP_INDEX"
_MLFLOW_ENABLE = "FLOWGAUGE_MLFLOW_ENABLE"
_OFF = {"", "0", "false", "no", "off"}


class Task(NamedTuple):
    """The running task; outside Airflow, every field is empty.

    `map_index` is None unless the task is mapped. `mlflow_enable` is what the DAG parameter of that
    name says. `instance` is Airflow's own object, known only where Airflow runs, `resumed_by` the
    method by which the task goes on after it was deferred.
    """

    dag_id: str = ""
    task_id: str = ""
    run_id: str = ""
    map_index: int | None = None
    try_number: int | None = None
    mlflow_enable: bool = True
    instance: Any = None
    resumed_by: str = ""

    @property
    def label(self) -> str:
        """Task and DAG run in words, for people: `load[3] manual__2025-01-15T00:00:00`."""
        mapped = "" if self.map_index is None else f"[{self.map_index}]"
        return f"{self.task_id}{mapped} {self.run_id}".strip()

    @property
    def tags(self) -> dict[str, str]:
        """What of it is known, as tags of an MLflow run."""
        known = {
            DAG_ID_TAG: self.dag_id,
            TASK_ID_TAG: self.task_id,
            RUN_ID_TAG: self.run_id,
            MAP_INDEX_TAG: self.map_index,
            TRY_NUMBER_TAG: self.try_number,
        }
        return {name: str(value) for name, value in known.items() if value not in {"", None}}


def current_task(environ: Mapping[str, str] = os.environ) -> Task:
    """Return the running task, from Airflow's context or else from the environment.

    A callback or a listener counts as the task that it is called for.
    """
    return _from_airflow() or _from_environment(environ)


def current_pair(environ: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """Return the running task's DAG and its own id, for what asks at every request.

    Both are empty outside Airflow, and where `mlflow_enable` is off.
    """
    if task := _from_airflow():
        return (task.dag_id, task.task_id) if task.mlflow_enable else ("", "")
    # Only what is needed: to read a variable takes a microsecond.
    dag_id = environ.get(_DAG_ID, "")
    if not dag_id or not _is_on(environ.get(_MLFLOW_ENABLE) or True):
        return "", ""
    return dag_id, environ.get(_TASK_ID, "")


def tell_programs(task: Task, environ: MutableMapping[str, str] = os.environ) -> None:
    """Leave in *environ*, for the programs that *task* starts, what Airflow does not tell them."""
    environ[_MAP_INDEX] = "" if task.map_index is None else str(task.map_index)
    environ[_MLFLOW_ENABLE] = str(task.mlflow_enable).lower()


def _from_airflow() -> Task | None:
    context = running_context()
    # One that no Airflow we know has, found in the hands of a provider's code, say, is none.
    with suppress(Exception):
        return None if context is None else _from_context(context)
    return None


def _from_context(context: Mapping[str, Any]) -> Task:
    # A callback of the whole DAG is told why it is called, of no task or of whichever came last.
    dag, instance = context["dag"], None if "reason" in context else context.get("ti")
    # The context's own map_index is always None (measured on 3.3.2 and 2.11.2).
    map_index = getattr(instance, "map_index", None)
    return Task(
        dag_id=dag.dag_id,
        task_id=getattr(instance, "task_id", ""),
        run_id=context["run_id"],
        map_index=None if map_index is None or map_index < 0 else map_index,
        try_number=getattr(instance, "try_number", None),
        # Without a task, nor is it told the parameters of the run: the DAG's own count.
        mlflow_enable=_is_on(_parameter(context.get("params") or dag.params)),
        instance=instance,
        resumed_by=resumed_by(instance),
    )


def _parameter(params: Mapping[str, Any]) -> object:
    try:
        return params.get("mlflow_enable", True)
    # The DAG's own has no default, or a wrong one, and Airflow looks at it only now.
    except Exception:  # noqa: BLE001
        return True


def _from_environment(environ: Mapping[str, str]) -> Task:
    return Task(
        dag_id=environ.get(_DAG_ID, ""),
        task_id=environ.get(_TASK_ID, ""),
        run_id=environ.get(_RUN_ID, ""),
        map_index=_number(environ.get(_MAP_INDEX, "")),
        try_number=_number(environ.get(_TRY_NUMBER, "")),
        mlflow_enable=_is_on(environ.get(_MLFLOW_ENABLE) or True),
    )


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _is_on(value: object) -> bool:
    return str(value).strip().lower() not in _OFF
