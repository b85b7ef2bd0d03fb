"""Keeping a payload whose own call could not send it; loads no HTTP client."""

import logging

from flowgauge.airflow.attempt import Attempt
from flowgauge.airflow.deadline import Deadline, OutOfTimeError
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.host import stats
from flowgauge.airflow.reasons import Reason
from flowgauge.airflow.shared_store import tell_store
from flowgauge.airflow.write_ahead import WriteAhead
from flowgauge.loading import loading
from flowgauge.redact import redact_text, spell_error
from flowgauge.store.log_calls import deferred

__all__ = ["LEAST_SECONDS", "STORE_SECONDS", "keep", "time_to_send"]

STORE_SECONDS = 1.5
"""Kept back for the store: it may take this long to take in what MLflow did not."""
LEAST_SECONDS = 0.5
"""MLflow is not asked for what it cannot do in so short a time."""
_log = logging.getLogger(__name__)


def time_to_send(deadline: Deadline) -> float:
    """Return the seconds that MLflow may take; raise `OutOfTimeError` if they are too few."""
    seconds = deadline.left - STORE_SECONDS
    if seconds < LEAST_SECONDS:
        raise OutOfTimeError("the time budget of the call is used up: see on what, or raise it")
    return seconds


def keep(
    entry: Entry,
    ahead: WriteAhead,
    attempt: Attempt,
    error: Exception,
    *,
    reason: Reason,
    deadline: Deadline,
) -> None:
    """Leave *entry*, which *error* kept from MLflow, to others: in the outbox, else in a file."""
    is_defect = reason is Reason.UNEXPECTED
    _log.warning(
        "MLflow did not take the payload %s, it is kept and sent later: %s",
        entry.log_id,
        spell_error(error) if is_defect else redact_text(str(error)),
    )
    stats.count("mlflow.dag_log.deferred", entry.dag_id, entry.task_id, reason=reason)
    logged = entry.logged(deadline.spent, reason)
    note = attempt.note(reason)
    left = tell_store(lambda store: ahead.leave(store, note, deferred(logged)))
    # Once it is in the outbox it stays there; the store counts it when the lease ends.
    if not left and not ahead.is_there:
        with loading():
            from flowgauge.airflow.spool import spool  # noqa: PLC0415

        spool(entry, logged.duration_seconds, reason, seconds=deadline.left)
