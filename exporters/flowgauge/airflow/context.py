"""Which Airflow task is running: found by itself, in the task and in programs it starts."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowgauge.tracking.tags import (
    DAG_ID_TAG,
    MAP_INDEX_TAG,
    RUN_ID_TAG,
    TASK_ID_TAG,
    TRY_NUMBER_TAG,
)

__all__ = ["Task", "current_task"]

# Airflow sets these for the task's own process and so for every program it starts.
# https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/operators.html
_DAG_ID = "AIRFLOW_CTX_DAG_ID"
_TASK_ID = "AIRFLOW_CTX_TASK_ID"
_RUN_ID = "AIRFLOW_CTX_DAG_RUN_ID"
_TRY_NUMBER = "AIRFLOW_CTX_TRY_NUMBER"


@dataclass(frozen=True)
class Task:
    """The running task; outside Airflow, every field is empty.

    `map_index` is None unless the task is mapped. `params` are the DAG run's, `instance` is
    Airflow's own object: both are known only inside the task's process.
    """

    dag_id: str = ""
    task_id: str = ""
    run_id: str = ""
    map_index: int | None = None
    try_number: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    instance: Any = None

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
    """Return the running task, from Airflow's context or else from AIRFLOW_CTX_* variables."""
    context = _context()
    if context is None:
        return _from_environment(environ)
    instance = context["ti"]
    # The context's own map_index is always None (measured on 3.3.2 and 2.11.2).
    mapped = instance.map_index is not None and instance.map_index >= 0
    return Task(
        dag_id=instance.dag_id,
        task_id=instance.task_id,
        run_id=instance.run_id,
        map_index=instance.map_index if mapped else None,
        try_number=instance.try_number,
        params=context.get("params") or {},
        instance=instance,
    )


def _context() -> Mapping[str, Any] | None:
    # A task's process has imported Airflow long ago; anywhere else, importing it takes 2 s.
    if "airflow" not in sys.modules:
        return None
    try:
        from airflow.sdk import get_current_context  # noqa: PLC0415 - only where Airflow runs
    except ImportError:
        # Airflow 2
        from airflow.operators.python import get_current_context  # noqa: PLC0415
    try:
        context: Mapping[str, Any] = get_current_context()
    except RuntimeError:
        return None
    return context


def _from_environment(environ: Mapping[str, str]) -> Task:
    attempt = environ.get(_TRY_NUMBER, "")
    return Task(
        dag_id=environ.get(_DAG_ID, ""),
        task_id=environ.get(_TASK_ID, ""),
        run_id=environ.get(_RUN_ID, ""),
        try_number=int(attempt) if attempt.isdecimal() else None,
    )
