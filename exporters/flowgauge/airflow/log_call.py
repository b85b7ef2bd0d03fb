"""The log call: a payload is written down, and becomes an MLflow run now or later."""

import json
import logging
import math
import os
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from flowgauge.airflow.context import Task, current_task
from flowgauge.airflow.deadline import BUDGET_SECONDS, Deadline
from flowgauge.airflow.entry import Entry, make_entry
from flowgauge.airflow.host import stats
from flowgauge.airflow.payload import PayloadError, read_payload
from flowgauge.airflow.reasons import Reason
from flowgauge.airflow.run_link import note_kept_payload
from flowgauge.airflow.run_options import RunOptions
from flowgauge.airflow.shared_store import tell_store
from flowgauge.airflow.values import Unfit, Values, called, guarded, in_full
from flowgauge.loading import loading
from flowgauge.store.log_calls import Logged, deferred, ended
from flowgauge.store.outbox import Lease, NewEntry
from flowgauge.store.store import Store

__all__ = ["log_payload"]

_NOW, _LATER = "now", "later"
# Enough to see what it was.
_LONGEST_REFUSED = 100_000
_log = logging.getLogger(__name__)


def log_payload(
    payload: Mapping[str, Any],
    *,
    run_name: str | None,
    experiment: str | None,
    tags: Mapping[str, Any],
    budget_seconds: float,
    delivery: str | None,
    strict: bool,
    options: RunOptions,
    began: float,
) -> str | None:
    """See `log_with_mlflow`, which calls this and keeps from the task what else it raises.

    The call *began* before this was loaded, at a time of `time.monotonic`.
    """
    deadline = Deadline(_seconds(budget_seconds), began=began)
    task = current_task()
    if not task.mlflow_enable:
        _log.info("Logging to MLflow is turned off by the DAG parameter mlflow_enable")
        return None
    try:
        read = read_payload(payload)
    except PayloadError as error:
        if strict:
            raise
        _refuse(payload, error, task, deadline)
        return None
    entry, changes = make_entry(
        read,
        task,
        run_name=run_name,
        experiment=experiment,
        tags=tags,
        options=options,
        logged_ms=time.time_ns() // 1_000_000,
    )
    if strict and (entry.invalid or read.doubts):
        raise PayloadError(changes)
    if changes:
        _log.warning("Changed to suit MLflow: %s", "; ".join(changes))
        stats.count("mlflow.dag_log.altered", entry.dag_id, entry.task_id)
    is_for_later = _is_for_later(delivery)
    if is_for_later and _leave(entry, deadline):
        note_kept_payload(task, entry.experiment)
        return None
    # What a call for later does without.
    with loading():
        from flowgauge.airflow.at_once import send_at_once  # noqa: PLC0415

    # An earlier try of the same task may have logged it. And a store that did not answer may have
    # it all the same: then it is anybody's.
    return send_at_once(entry, task, deadline, may_be_sent=entry.once or is_for_later)


def _seconds(budget: Any) -> float:
    try:
        seconds = guarded(lambda: Values().number(budget))
    except Unfit as unfit:
        _log.warning("budget_seconds %s: taken as %g", unfit, BUDGET_SECONDS)
        return BUDGET_SECONDS
    return BUDGET_SECONDS if math.isnan(seconds) else seconds


def _is_for_later(delivery: Any) -> bool:
    chosen = os.environ.get("FLOWGAUGE_DELIVERY") or _NOW if delivery is None else delivery
    if not isinstance(chosen, str) or chosen not in {_NOW, _LATER}:
        _log.warning(
            "The delivery %s is neither %s nor %s: taken as %s", called(chosen), _NOW, _LATER, _NOW
        )
        return False
    return chosen == _LATER


def _leave(entry: Entry, deadline: Deadline) -> bool:
    """Leave *entry* to the relay, and return whether it is written down."""
    counts = deferred(entry.logged(deadline.spent))
    if not tell_store(lambda store: store.outbox.put(entry.to_keep(None), counts)):
        return False
    stats.count("mlflow.dag_log.deferred", entry.dag_id, entry.task_id, reason=_LATER)
    return True


def _refuse(payload: object, error: PayloadError, task: Task, deadline: Deadline) -> None:
    """Set aside what cannot become a run at all."""
    with loading():
        from flowgauge.airflow.write_ahead import LEASE_SECONDS, new_owner  # noqa: PLC0415

    _log.error("Nothing is logged to MLflow: %s", error)
    reason = Reason.INVALID_PAYLOAD
    stats.count("mlflow.dag_log.failed", task.dag_id, task.task_id, reason=reason)
    counts = ended(Logged(task.dag_id, task.task_id, deadline.spent, reason=reason))
    body = json.dumps({"payload": in_full(payload)[:_LONGEST_REFUSED]})
    kept = NewEntry(uuid4().hex, task.dag_id, task.task_id, body, reason)

    def keep(store: Store) -> None:
        # Held by nobody, it would be tried at once.
        store.outbox.put(kept, lease=Lease(new_owner(), LEASE_SECONDS), lapsed=counts)
        store.outbox.set_aside(kept.entry_id, reason, str(error), counts)

    tell_store(keep)
