"""Sending a payload while its task waits: what `FLOWGAUGE_DELIVERY=later` leaves to others."""

from flowgauge.airflow.attempt import Attempt
from flowgauge.airflow.connection import Connection, connect
from flowgauge.airflow.context import Task
from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.failures import reason_for
from flowgauge.airflow.host import stats
from flowgauge.airflow.keeping import LEAST_SECONDS, STORE_SECONDS, keep, time_to_send
from flowgauge.airflow.permit import wait_for_permit
from flowgauge.airflow.run_link import note_kept_payload, push_run_link
from flowgauge.airflow.shared_store import tell_store
from flowgauge.airflow.spool_folder import is_spool_empty
from flowgauge.airflow.write_ahead import WriteAhead
from flowgauge.loading import loading
from flowgauge.store.log_calls import ended, repeated
from flowgauge.store.store import Store

__all__ = ["send_now"]

# A call that went well sends some of what earlier ones left behind.
_FLUSH_SECONDS = 2.0
_FLUSH_ENTRIES = 5


def send_now(
    entry: Entry, ahead: WriteAhead, attempt: Attempt, task: Task, deadline: Deadline
) -> str | None:
    """Make the run of *entry* before *deadline* and return its id; None if it is left for later."""
    try:
        connection = connect(seconds=time_to_send(deadline))
        # A permit that comes late would leave no time to send.
        wait_for_permit(time_to_send(deadline) - LEAST_SECONDS)
        run_id = connection.send(entry, attempt, seconds=time_to_send(deadline))
    # MlflowClient, SQLAlchemy and login plugins raise what they like.
    except Exception as error:  # noqa: BLE001
        keep(entry, ahead, attempt, error, reason=reason_for(error), deadline=deadline)
        note_kept_payload(task, entry.experiment)
        return None
    stats.count("mlflow.dag_log.logged", entry.dag_id, entry.task_id)
    stats.time_taken("mlflow.dag_log.duration", deadline.spent, entry.dag_id, entry.task_id)
    logged = entry.logged(deadline.spent)
    counts = repeated(logged) if attempt.was_complete else ended(logged)
    tell_store(lambda store: ahead.settle(store, counts))
    push_run_link(task, connection, run_id, deadline.left)
    seconds = min(deadline.left - STORE_SECONDS, _FLUSH_SECONDS)
    tell_store(lambda store: _help(store, connection, seconds))
    return run_id


def _help(store: Store, connection: Connection, seconds: float) -> None:
    """Send what others left behind, for *seconds*; raise `StoreError`."""
    # Most calls find nothing, and need not load what would send it.
    if is_spool_empty() and not store.outbox.is_due():
        return
    with loading():
        from flowgauge.airflow.outbox import flush  # noqa: PLC0415

    flush(store, connection, seconds=seconds, most=_FLUSH_ENTRIES)
