"""The log call: a payload becomes an MLflow run, now or later."""

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from flowgauge.airflow.connection import Connection, connect
from flowgauge.airflow.context import Task, current_task
from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.entry import Entry, make_entry
from flowgauge.airflow.host import stats
from flowgauge.airflow.outbox import flush
from flowgauge.airflow.payload import PayloadError, validate_payload_schema
from flowgauge.airflow.permit import wait_for_permit
from flowgauge.airflow.reasons import Reason, reason_for
from flowgauge.airflow.run_link import push_run_link
from flowgauge.airflow.spool import spool
from flowgauge.redact import redact_text
from flowgauge.store.errors import StoreError
from flowgauge.store.log_calls import Logged, deferred, ended
from flowgauge.store.opening import open_store
from flowgauge.store.store import Store

__all__ = ["log_payload"]

# Kept back for the store: it may take this long to take in what MLflow did not.
_STORE_SECONDS = 1.5
# A call that went well sends some of what earlier ones left behind.
_FLUSH_SECONDS = 2.0
_FLUSH_ENTRIES = 5
_log = logging.getLogger(__name__)


def log_payload(
    payload: Mapping[str, Any],
    *,
    run_name: str | None,
    experiment: str | None,
    tags: Mapping[str, Any],
    budget_seconds: float,
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
    return _send(entry, task, deadline)


def _send(entry: Entry, task: Task, deadline: Deadline) -> str | None:
    try:
        connection = connect(seconds=deadline.left - _STORE_SECONDS)
        wait_for_permit(deadline.left - _STORE_SECONDS)
        run_id = connection.send(entry, again=False, seconds=deadline.left - _STORE_SECONDS)
    # MlflowClient, SQLAlchemy and login plugins raise what they like.
    except Exception as error:  # noqa: BLE001
        _keep(entry, error, deadline)
        return None
    stats.count("mlflow.dag_log.logged", entry.dag_id, entry.task_id)
    stats.time_taken("mlflow.dag_log.duration", deadline.spent, entry.dag_id, entry.task_id)
    push_run_link(task, connection.run_url(run_id), deadline.left)
    _tell_store(lambda store: _record_and_flush(store, connection, entry, deadline))
    return run_id


def _record_and_flush(
    store: Store, connection: Connection, entry: Entry, deadline: Deadline
) -> None:
    store.counts.add(*ended(entry.logged(deadline.spent)))
    seconds = min(deadline.left - _STORE_SECONDS, _FLUSH_SECONDS)
    flush(store, connection, seconds=seconds, most=_FLUSH_ENTRIES)


def _keep(entry: Entry, error: Exception, deadline: Deadline) -> None:
    reason = reason_for(error)
    _log.warning(
        "MLflow did not take the payload %s, it is kept and sent later: %s",
        entry.log_id,
        redact_text(str(error)),
        exc_info=error if reason is Reason.UNEXPECTED else None,
    )
    stats.count("mlflow.dag_log.deferred", entry.dag_id, entry.task_id, reason=reason)
    logged = entry.logged(deadline.spent, reason)
    if not _tell_store(lambda store: store.outbox.put(entry.to_keep(reason), deferred(logged))):
        spool(entry, logged.duration_seconds, reason)


def _refuse(task: Task, error: PayloadError, deadline: Deadline) -> None:
    _log.error("Nothing is logged to MLflow: %s", error)
    reason = Reason.INVALID_PAYLOAD
    stats.count("mlflow.dag_log.failed", task.dag_id, task.task_id, reason=reason)
    logged = Logged(task.dag_id, task.task_id, deadline.spent, reason=reason)
    _tell_store(lambda store: store.counts.add(*ended(logged)))


def _tell_store(action: Callable[[Store], None]) -> bool:
    """Do *action* on the store and return whether it worked."""
    try:
        with closing(open_store()) as store:
            action(store)
    except StoreError as error:
        _log.warning("The log call could not be counted: %s", error)
        return False
    return True
