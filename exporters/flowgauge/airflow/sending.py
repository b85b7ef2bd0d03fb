"""Sending a payload while its task waits: what `FLOWGAUGE_DELIVERY=later` leaves to others."""

import logging

from flowgauge.airflow.attempt import Attempt
from flowgauge.airflow.connection import connect
from flowgauge.airflow.context import Task
from flowgauge.airflow.deadline import Deadline, OutOfTimeError
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.failures import reason_for
from flowgauge.airflow.host import stats
from flowgauge.airflow.outbox import flush
from flowgauge.airflow.permit import wait_for_permit
from flowgauge.airflow.reasons import Reason
from flowgauge.airflow.run_link import note_kept_payload, push_run_link
from flowgauge.airflow.shared_store import tell_store
from flowgauge.airflow.spool import spool
from flowgauge.airflow.write_ahead import WriteAhead
from flowgauge.redact import redact_text
from flowgauge.store.log_calls import deferred, ended, repeated

__all__ = ["send_now"]

# Kept back for the store: it may take this long to take in what MLflow did not.
_STORE_SECONDS = 1.5
# MLflow is not asked for what it cannot do in so short a time.
_LEAST_SECONDS = 0.5
# A call that went well sends some of what earlier ones left behind.
_FLUSH_SECONDS = 2.0
_FLUSH_ENTRIES = 5
_log = logging.getLogger(__name__)


def send_now(entry: Entry, ahead: WriteAhead, task: Task, deadline: Deadline) -> str | None:
    """Make the run of *entry* before *deadline* and return its id; None if it is left for later."""
    # An earlier try of the same task may have logged it.
    attempt = Attempt(is_first=not entry.once)
    try:
        connection = connect(seconds=_left(deadline))
        # A permit that comes late would leave no time to send.
        wait_for_permit(_left(deadline) - _LEAST_SECONDS)
        run_id = connection.send(entry, attempt, seconds=_left(deadline))
    # MlflowClient, SQLAlchemy and login plugins raise what they like.
    except Exception as error:  # noqa: BLE001
        _keep(entry, ahead, attempt, error, deadline)
        note_kept_payload(task, entry.experiment)
        return None
    stats.count("mlflow.dag_log.logged", entry.dag_id, entry.task_id)
    stats.time_taken("mlflow.dag_log.duration", deadline.spent, entry.dag_id, entry.task_id)
    logged = entry.logged(deadline.spent)
    counts = repeated(logged) if attempt.was_complete else ended(logged)
    tell_store(lambda store: ahead.settle(store, counts))
    push_run_link(task, connection, run_id, deadline.left)
    seconds = min(deadline.left - _STORE_SECONDS, _FLUSH_SECONDS)
    tell_store(lambda store: flush(store, connection, seconds=seconds, most=_FLUSH_ENTRIES))
    return run_id


def _left(deadline: Deadline) -> float:
    seconds = deadline.left - _STORE_SECONDS
    if seconds < _LEAST_SECONDS:
        raise OutOfTimeError("the time budget of the call is used up: see on what, or raise it")
    return seconds


def _keep(
    entry: Entry, ahead: WriteAhead, attempt: Attempt, error: Exception, deadline: Deadline
) -> None:
    reason = reason_for(error)
    _log.warning(
        "MLflow did not take the payload %s, it is kept and sent later: %s",
        entry.log_id,
        redact_text(str(error)),
        exc_info=error if reason is Reason.UNEXPECTED else None,
    )
    stats.count("mlflow.dag_log.deferred", entry.dag_id, entry.task_id, reason=reason)
    logged = entry.logged(deadline.spent, reason)
    note = attempt.note(reason)
    left = tell_store(lambda store: ahead.leave(store, note, deferred(logged)))
    # Once it is in the outbox it stays there; the store counts it when the lease ends.
    if not left and not ahead.is_there:
        spool(entry, logged.duration_seconds, reason)
