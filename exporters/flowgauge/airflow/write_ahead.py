"""The payload of a running log call, in the outbox before anything is sent."""

import os
import socket
from collections.abc import Sequence
from uuid import uuid4

from flowgauge.airflow.attempt import SENDING
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.reasons import Reason
from flowgauge.store.counts import Count
from flowgauge.store.log_calls import abandoned
from flowgauge.store.outbox import Lease
from flowgauge.store.store import Store

__all__ = ["LEASE_SECONDS", "WriteAhead", "new_owner"]

LEASE_SECONDS = 20.0
"""How much longer than its budget a call may take before others send its payload."""


def new_owner() -> str:
    """Return a name for a lease, told from all others, that tells people who holds it."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


class WriteAhead:
    """*entry* on its way: the caller's alone for *seconds*, and anybody's should it not come back.

    A store that fails may yet have done what it was asked. So whatever is asked next puts the entry
    in first, unless it is known to be there (`is_there`): it is counted once, and none is left
    behind.
    """

    def __init__(self, entry: Entry, seconds: float) -> None:
        self._entry = entry
        self._lease = Lease(new_owner(), seconds)
        self.is_there = False

    def put(self, store: Store) -> None:
        """Put the entry into the outbox, leased; raise `StoreError`."""
        killed = abandoned(self._entry.logged(0.0, Reason.KILLED))
        store.outbox.put(self._entry.to_keep(SENDING), lease=self._lease, lapsed=killed)
        self.is_there = True

    def settle(self, store: Store, counts: Sequence[Count]) -> None:
        """Remove the entry, which arrived, and count; raise `StoreError`."""
        self._ensure(store)
        store.outbox.settle(self._entry.log_id, counts)

    def leave(self, store: Store, reason: str, counts: Sequence[Count]) -> None:
        """Leave the entry to whoever empties the outbox, and count; raise `StoreError`.

        *reason* is why, and where the attempt stopped.
        """
        self._ensure(store)
        store.outbox.release(self._entry.log_id, self._lease.owner, reason, counts)

    def _ensure(self, store: Store) -> None:
        if not self.is_there:
            self.put(store)
