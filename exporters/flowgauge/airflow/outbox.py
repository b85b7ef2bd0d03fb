"""Sending what the outbox holds."""

import logging
from contextlib import suppress
from dataclasses import dataclass

from flowgauge.airflow.attempt import Attempt
from flowgauge.airflow.connection import Connection
from flowgauge.airflow.deadline import Deadline, OutOfTimeError
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.failures import reason_for
from flowgauge.airflow.late_runs import leave_look
from flowgauge.airflow.permit import wait_for_permit
from flowgauge.airflow.rate_limiter import RateLimitExceeded
from flowgauge.airflow.reasons import Reason
from flowgauge.airflow.spool import drain_spool
from flowgauge.airflow.write_ahead import new_owner
from flowgauge.errors import FlowgaugeError
from flowgauge.redact import redact_text
from flowgauge.store.errors import StoreError
from flowgauge.store.log_calls import arrived, failed
from flowgauge.store.outbox import Lease, OutboxEntry
from flowgauge.store.store import Store
from flowgauge.tracking.errors import TrackingRejectedError

__all__ = ["Flushed", "Refusals", "Sender", "flush"]

# One entry's share of the time, and how long others leave a claimed one alone: the sender may be
# killed, but one that lives must be done well before. What takes longer goes on the next time.
_SEND_SECONDS = 10.0
_LEASE_SECONDS = 60.0
# What is left of the time is not worth an attempt that would be cut short.
_TOO_SHORT_SECONDS = 0.5
# What of its time a flush spends on files that wait for the store: there may be any number.
_SPOOL_SHARE = 0.25
# One after the other, and none taken in between.
_MOST_ALIKE = 3
# How often an error that nobody expected may befall the same payload.
_MOST_ATTEMPTS = 10
_log = logging.getLogger(__name__)


@dataclass
class Flushed:
    """What came of a flush; `problem` is what ended it before the outbox was empty, if anything."""

    sent: int = 0
    set_aside: int = 0
    problem: Exception | None = None


class Refusals:
    """The entries set aside one after the other, for as long as they are refused in the same way.

    Many payloads that are bad in the same way are less likely than one server that is.
    """

    def __init__(self) -> None:
        self._kind: tuple[int, str] | None = None
        self._entry_ids: list[str] = []

    def clear(self) -> None:
        """Note that MLflow took one."""
        self._entry_ids.clear()

    def add(self, entry_id: str, error: TrackingRejectedError) -> list[str]:
        """Note one; return those that are to be put back because there are too many alike."""
        kind = (error.status, error.error_code)
        if kind != self._kind:
            self.clear()
        self._kind = kind
        self._entry_ids.append(entry_id)
        if len(self._entry_ids) < _MOST_ALIKE:
            return []
        alike, self._entry_ids = self._entry_ids, []
        return alike


def flush(
    store: Store, connection: Connection, *, seconds: float, most: int | None = None
) -> Flushed:
    """Send entries, oldest first, for up to *seconds* and up to *most* of them.

    An entry that MLflow refuses by its content is set aside, unless it refuses the next ones in the
    same way. Any other failure ends the flush: it would befall the next entry too. The one it
    befell goes to the end of the queue, so it blocks nothing, and so does one that takes longer
    than there is time: it goes on where it stopped. Several processes may flush at once; each entry
    is sent by one. Raises `StoreError`.
    """
    deadline = Deadline(seconds)
    drain_spool(store, seconds=seconds * _SPOOL_SHARE)
    sender = Sender(store, connection, Refusals())
    flushed = sender.flushed
    while (
        deadline.left > _TOO_SHORT_SECONDS
        and flushed.problem is None
        and (most is None or flushed.sent + flushed.set_aside < most)
        and store.outbox.is_due()
    ):
        try:
            # First the permit: an entry that is claimed is kept from everybody else. And not so
            # late that there would be no time to send it.
            wait_for_permit(deadline.left - _TOO_SHORT_SECONDS)
        except RateLimitExceeded as error:
            flushed.problem = error
        else:
            # The store may have taken its time over it.
            if deadline.left > _TOO_SHORT_SECONDS:
                sender.send_oldest(deadline.left)
    return flushed


class Sender:
    """Claims entries of *store* for itself, one at a time, and sends them to *connection*.

    `flushed` says what came of them. *refusals* are kept from one sender to the next.
    """

    def __init__(self, store: Store, connection: Connection, refusals: Refusals) -> None:
        self.flushed = Flushed()
        self._store = store
        self._connection = connection
        self._refusals = refusals
        self._owner = new_owner()

    def send_oldest(self, seconds: float) -> None:
        """Send the oldest entry that nobody holds within *seconds*; raises `StoreError`."""
        for kept in self._store.outbox.claim(Lease(self._owner, _LEASE_SECONDS), 1):
            try:
                entry = Entry.from_json(kept.body)
            except ValueError as error:
                self._set_aside(kept, Reason.UNREADABLE, error)
            else:
                send = self._look if entry.only_looks else self._send
                send(kept, entry, min(seconds, _SEND_SECONDS))

    def _send(self, kept: OutboxEntry, entry: Entry, seconds: float) -> None:
        attempt = Attempt.after(kept.reason)
        had = attempt.batches
        try:
            run_id = self._connection.send(entry, attempt, seconds=seconds)
        except OutOfTimeError as error:
            if attempt.batches > had:
                self._release(kept, attempt, Reason.OUT_OF_TIME, count=False)
            else:
                self._give_back(kept, attempt, error)
        # Whatever goes wrong with one entry must not be the end of all others.
        except Exception as error:  # noqa: BLE001
            self._give_back(kept, attempt, error)
        except BaseException:
            # Ctrl-C, or the end of a task's time: the next one is told of a run that may come late.
            with suppress(StoreError):
                self._release(kept, attempt, Reason.KILLED, count=False)
            raise
        else:
            # By an earlier try of its task, or by way of the store, which had it all the same.
            is_counted = (entry.once or entry.spooled) and attempt.was_complete
            counts = () if is_counted else arrived(entry.logged(0.0))
            leave_look(self._store, entry, attempt)
            self._store.outbox.settle(kept.entry_id, counts)
            self._refusals.clear()
            self.flushed.sent += 1
            _log.info("Sent the payload %s from the outbox, as run %s", kept.entry_id, run_id)

    def _look(self, kept: OutboxEntry, entry: Entry, seconds: float) -> None:
        try:
            self._connection.send(entry, Attempt(), seconds=seconds)
        except TrackingRejectedError as error:
            _log.info("Not looked for a late run of %s: %s", entry.log_id, redact_text(str(error)))
        # As above; and nothing is counted, for nothing is to be sent.
        except Exception as error:  # noqa: BLE001
            self._store.outbox.release(kept.entry_id, self._owner, kept.reason or "")
            self.flushed.problem = error
            return
        self._store.outbox.settle(kept.entry_id)

    def _give_back(self, kept: OutboxEntry, attempt: Attempt, error: Exception) -> None:
        if not (isinstance(error, TrackingRejectedError) and error.is_for_content):
            reason = reason_for(error)
            if reason is Reason.UNEXPECTED and kept.attempts >= _MOST_ATTEMPTS:
                # It is likelier the payload, which others would wait behind for ever.
                self._set_aside(kept, reason, error)
                return
            self._release(kept, attempt, reason, count=True)
            self.flushed.problem = error
            return
        self._set_aside(kept, Reason.REJECTED, error)
        if alike := self._refusals.add(kept.entry_id, error):
            self._store.outbox.retry(*alike)
            # Some were set aside by an earlier sender.
            self.flushed.set_aside = max(self.flushed.set_aside - len(alike), 0)
            self.flushed.problem = FlowgaugeError(
                f"MLflow refused {len(alike)} payloads alike, one after the other, so they are "
                f"kept and sent again: {error}"
            )

    def _release(self, kept: OutboxEntry, attempt: Attempt, reason: Reason, *, count: bool) -> None:
        counts = failed(kept.dag_id, kept.task_id, reason) if count else ()
        note = attempt.note(reason)
        self._store.outbox.release(kept.entry_id, self._owner, note, counts)

    def _set_aside(self, kept: OutboxEntry, reason: Reason, error: Exception) -> None:
        counts = failed(kept.dag_id, kept.task_id, reason)
        self._store.outbox.set_aside(kept.entry_id, reason, redact_text(str(error)), counts)
        self.flushed.set_aside += 1
        _log.error("Set the payload %s aside: %s", kept.entry_id, redact_text(str(error)))
