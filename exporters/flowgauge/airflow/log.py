"""The log call's door: light enough for a DAG file, which Airflow parses every few seconds."""

# Once the interpreter ends Python loads it no more, and others need it: a first call may come then.
import concurrent.futures.thread  # noqa: F401
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any

from flowgauge.airflow.deadline import BUDGET_SECONDS
from flowgauge.loading import loading

__all__ = ["log_with_mlflow"]

_log = logging.getLogger(__name__)


def log_with_mlflow(
    payload: Mapping[str, Any],
    run_name: str | None = None,
    experiment: str | None = None,
    tags: Mapping[str, Any] | None = None,
    *,
    budget_seconds: float = BUDGET_SECONDS,
    delivery: str | None = None,
    strict: bool = False,
    run_id: str | None = None,
    status: str | None = None,
    start_time: datetime | float | None = None,
    end_time: datetime | float | None = None,
    step: int = 0,
    once: str | None = None,
    artifacts: str | PathLike[str] | Sequence[Any] | Mapping[str, Any] | None = None,
) -> str | None:
    """Log *payload* (see `ExtractPayload`) as one MLflow run, tagged with the running task.

    Returns the run's id, or None if there is no run yet: then the payload is in the outbox and
    becomes a run later. It is there before anything is sent, so a task that is killed loses
    nothing. Raises nothing and returns within *budget_seconds*, whatever state MLflow, the store
    and the payload are in.

    A value that cannot be logged is left out, which the log, the run's tag `flowgauge.altered` and
    the counts say; what is no payload at all is set aside in the outbox. With *strict*, for tests,
    both raise `PayloadError` instead, and nothing is logged.

    *delivery* is "now", or "later": then the call ends once the payload is in the outbox, in
    milliseconds, and whoever empties it makes the run. It defaults to FLOWGAUGE_DELIVERY, else now.

    The run is finished, or what *status* says, and lasted from *start_time* to *end_time*
    (datetimes or Unix seconds), by default no time at all. Figures are at *step*, lists from there.
    With *run_id* the payload is added to that run, which only a *status* ends. Inside
    `mlflow.start_run()` it becomes a child of that run. With *once* "task" the tries of a task make
    one run between them: what is in MLflow already is neither logged nor counted again. *artifacts*
    are small files, one path, several, or paths by name: 1 MiB together, which the payload keeps.

    *experiment* defaults to MLFLOW_EXPERIMENT_NAME, else to the DAG's id; *run_name* to task and
    DAG run. The DAG parameter `mlflow_enable: false` turns the call off. No more than 20 payloads
    a minute are sent, all tasks together (rate limit `mlflow_api`).
    """
    began = time.monotonic()
    try:
        # Loads the store: for the task, not for the parser.
        with loading():
            from flowgauge.airflow.log_call import log_payload  # noqa: PLC0415
            from flowgauge.airflow.run_options import RunOptions  # noqa: PLC0415

        return log_payload(
            payload,
            run_name=run_name,
            experiment=experiment,
            tags={} if tags is None else tags,
            budget_seconds=budget_seconds,
            delivery=delivery,
            strict=strict,
            options=RunOptions(run_id, status, start_time, end_time, step, once, artifacts),
            began=began,
        )
    # The promise to the task comes before everything, flowgauge's own defects included.
    except Exception as error:
        if strict and _is_about_payload(error):
            raise
        # Not as `exception`: what it says may hold a login.
        _log.error("A payload could not be logged, by a defect of flowgauge's\n%s", _told(error))
        return None


def _is_about_payload(error: Exception) -> bool:
    read = sys.modules.get("flowgauge.airflow.payload")
    return read is not None and isinstance(error, read.PayloadError)


def _told(error: Exception) -> str:
    """Return what there is to say of *error*, also where a part of flowgauge is not there."""
    try:
        # A DAG file need not pay for it.
        with loading():
            from flowgauge.redact import spell_error  # noqa: PLC0415

        return spell_error(error)
    except Exception:  # noqa: BLE001
        return type(error).__name__
