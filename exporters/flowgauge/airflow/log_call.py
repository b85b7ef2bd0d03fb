"""The log call: a payload is written down, and becomes an MLflow run now or later."""

import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from flowgauge.airflow.context import Task, current_task
from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.entry import Entry, make_entry
from flowgauge.airflow.host import stats
from flowgauge.airflow.payload import PayloadError, validate_payload_schema
from flowgauge.airflow.reasons import Reason
from flowgauge.airflow.run_link import note_kept_payload
from flowgauge.airflow.shared_store import tell_store
from flowgauge.airflow.write_ahead import WriteAhead
from flowgauge.store.log_calls import Logged, deferred, ended

__all__ = ["log_payload"]

_NOW, _LATER = "now", "later"
# How much longer than its budget a call may take before others send its payload.
_LEASE_SECONDS = 20.0
_log = logging.getLogger(__name__)


def log_payload(
    payload: Mapping[str, Any],
    *,
    run_name: str | None,
    experiment: str | None,
    tags: Mapping[str, Any],
    budget_seconds: float,
    delivery: str | None,
) -> str | None:
    """See `log_with_mlflow`, which calls this and keeps from the task whatever it raises."""
    deadline = Deadline(budget_seconds)
    task = current_task()
    if not task.mlflow_enable:
        _log.info("Logging to MLflow is turned off by the DAG parameter mlflow_enable")
        return None
    try:
        entry, changes = make_entry(
            validate_payload_schema(payload),
            task,
            run_name=run_name or task.label,
            experiment=experiment
            or os.environ.get("MLFLOW_EXPERIMENT_NAME")
            or task.dag_id
            or "Default",
            tags=tags,
            logged_ms=time.time_ns() // 1_000_000,
        )
    except PayloadError as error:
        _refuse(task, error, deadline)
        return None
    if changes:
        _log.warning("Changed to suit MLflow: %s", "; ".join(changes))
        stats.count("mlflow.dag_log.altered", entry.dag_id, entry.task_id)
    if _is_for_later(delivery) and _leave(entry, deadline):
        note_kept_payload(task, entry.experiment)
        return None
    return _send(entry, task, deadline)


def _is_for_later(delivery: str | None) -> bool:
    chosen = delivery or os.environ.get("FLOWGAUGE_DELIVERY") or _NOW
    if chosen not in (_NOW, _LATER):
        _log.warning(
            "The delivery %r is neither %s nor %s: taken as %s", chosen, _NOW, _LATER, _NOW
        )
    return chosen == _LATER


def _leave(entry: Entry, deadline: Deadline) -> bool:
    """Leave *entry* to the relay, and return whether it is written down."""
    counts = deferred(entry.logged(deadline.spent))
    if not tell_store(lambda store: store.outbox.put(entry.to_keep(None), counts)):
        return False
    stats.count("mlflow.dag_log.deferred", entry.dag_id, entry.task_id, reason=_LATER)
    return True


def _send(entry: Entry, task: Task, deadline: Deadline) -> str | None:
    ahead = WriteAhead(entry, deadline.left + _LEASE_SECONDS)
    tell_store(ahead.put)
    # Loads the HTTP client, which a call for later does without.
    from flowgauge.airflow.sending import send_now  # noqa: PLC0415

    return send_now(entry, ahead, task, deadline)


def _refuse(task: Task, error: PayloadError, deadline: Deadline) -> None:
    _log.error("Nothing is logged to MLflow: %s", error)
    reason = Reason.INVALID_PAYLOAD
    stats.count("mlflow.dag_log.failed", task.dag_id, task.task_id, reason=reason)
    logged = Logged(task.dag_id, task.task_id, deadline.spent, reason=reason)
    tell_store(lambda store: store.counts.add(*ended(logged)))
