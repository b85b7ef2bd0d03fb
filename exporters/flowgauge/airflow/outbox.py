"""Sending what the outbox holds."""

import logging
from dataclasses import dataclass

from flowgauge.airflow.connection import Connection
from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.failures import reason_for
from flowgauge.airflow.permit import wait_for_permit
from flowgauge.airflow.rate_limiter import RateLimitExceeded
from flowgauge.airflow.reasons import Reason
from flowgauge.airflow.spool import drain_spool
from flowgauge.airflow.write_ahead import new_owner
from flowgauge.redact import redact_text
from flowgauge.store.log_calls import arrived, failed
from flowgauge.store.outbox import Lease, OutboxEntry
from flowgauge.store.store import Store

__all__ = ["Flushed", "Sender", "flush"]

# One entry's share of the time, and how long others leave a claimed one alone: the sender may be
# killed, but one that lives must be done well before.
_SEND_SECONDS = 10.0
_LEASE_SECONDS = 60.0
# What is left of the time is not worth an attempt that would be cut short.
_TOO_SHORT_SECONDS = 0.5
# What of its time a flush spends on files that wait for the store: there may be any number.
_SPOOL_SHARE = 0.25
_log = logging.getLogger(__name__)


@dataclass
class Flushed:
    """What came of a flush; `problem` is what ended it before the outbox was empty, if anything."""

    sent: int = 0
    set_aside: int = 0
    problem: Exception | None = None


def flush(
    store: Store, connection: Connection, *, seconds: float, most: int | None = None
) -> Flushed:
    """Send entries, oldest first, for up to *seconds* and up to *most* of them.

    An entry that MLflow refuses for good is set aside. Any other failure ends the flush: it would
    befall the next entry too. The one it befell goes to the end of the queue, so it blocks nothing.
    Several processes may flush at once; each entry is sent by one. Raises `StoreError`.
    """
    deadline = Deadline(seconds)
    drain_spool(store, seconds=seconds * _SPOOL_SHARE)
    sender = Sender(store, connection)
    flushed = sender.flushed
    while (
        deadline.left > _TOO_SHORT_SECONDS
        and flushed.problem is None
        and (most is None or flushed.sent + flushed.set_aside < most)
        and store.outbox.is_due()
    ):
        try:
            # First the permit: an entry that is claimed is kept from everybody else.
            wait_for_permit(deadline.left)
        except RateLimitExceeded as error:
            flushed.problem = error
        else:
            sender.send_oldest(deadline.left)
    return flushed


class Sender:
    """Claims entries of *store* for itself, one at a time, and sends them to *connection*.

    `flushed` says what came of them.
    """

    def __init__(self, store: Store, connection: Connection) -> None:
        self.flushed = Flushed()
        self._store = store
        self._connection = connection
        self._owner = new_owner()

    def send_oldest(self, seconds: float) -> None:
        """Send the oldest entry that nobody holds within *seconds*; raises `StoreError`."""
        for kept in self._store.outbox.claim(Lease(self._owner, _LEASE_SECONDS), 1):
            try:
                entry = Entry.from_json(kept.body)
            except ValueError as error:
                self._set_aside(kept, Reason.UNREADABLE, error)
            else:
                self._send(kept, entry, min(seconds, _SEND_SECONDS))

    def _send(self, kept: OutboxEntry, entry: Entry, seconds: float) -> None:
        try:
            run_id = self._connection.send(entry, again=True, seconds=seconds)
        # Whatever goes wrong with one entry must not be the end of all others.
        except Exception as error:  # noqa: BLE001
            self._give_back(kept, error)
        else:
            self._store.outbox.settle(kept.entry_id, arrived(entry.logged(0.0)))
            self.flushed.sent += 1
            _log.info("Sent the payload %s from the outbox, as run %s", kept.entry_id, run_id)

    def _give_back(self, kept: OutboxEntry, error: Exception) -> None:
        reason = reason_for(error)
        if reason is Reason.REJECTED:
            self._set_aside(kept, reason, error)
        else:
            counts = failed(kept.dag_id, kept.task_id, reason)
            self._store.outbox.release(kept.entry_id, self._owner, reason, counts)
            self.flushed.problem = error

    def _set_aside(self, kept: OutboxEntry, reason: Reason, error: Exception) -> None:
        counts = failed(kept.dag_id, kept.task_id, reason)
        self._store.outbox.set_aside(kept.entry_id, reason, redact_text(str(error)), counts)
        self.flushed.set_aside += 1
        _log.error("Set the payload %s aside: %s", kept.entry_id, error)
