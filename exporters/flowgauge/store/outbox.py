"""Outbox: the payloads that MLflow has not got yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flowgauge.store.counts import Count

__all__ = ["Lease", "NewEntry", "Outbox", "OutboxEntry", "OutboxState"]


@dataclass(frozen=True)
class NewEntry:
    """A payload to keep; `entry_id` is chosen by the client and makes it unique.

    `body` is the caller's own serialised payload, opaque to the store. `reason` is why it is here.
    """

    entry_id: str
    dag_id: str
    task_id: str
    body: str
    reason: str | None = None


@dataclass(frozen=True)
class OutboxEntry(NewEntry):
    """One payload waiting to be sent.

    `reason` is why it could not be sent the last time. `created` is when it was put in, `attempts`
    how often sending it from here failed, `poison` why it was set aside, if so.
    """

    created: float = 0.0
    attempts: int = 0
    poison: str | None = None


@dataclass(frozen=True)
class Lease:
    """For *seconds*, an entry is *owner*'s alone."""

    owner: str
    seconds: float


@dataclass(frozen=True)
class OutboxState:
    """How full the outbox is; `oldest` is when its oldest waiting entry was put in."""

    entries: int
    poison: int
    oldest: float | None


class Outbox(Protocol):
    """The outbox of one store; every method is one atomic step, and one round trip.

    Each *counts* are counted in that same step, and only if the step did something.
    """

    def put(
        self,
        entry: NewEntry,
        counts: Sequence[Count] = (),
        *,
        lease: Lease | None = None,
        lapsed: Sequence[Count] = (),
    ) -> None:
        """Put an entry in and count; leased from the start if *lease* is given.

        *lapsed* is counted, once, should that lease end before the entry was settled, released or
        set aside. An id that is already there is left alone, and nothing is counted. When this
        returns, the payload survives a power failure as well as the store does.
        """

    def claim(self, lease: Lease, limit: int) -> Sequence[OutboxEntry]:
        """Return the first *limit* waiting entries that nobody holds, leased.

        They come in the order they were put in, given back or put back. Entries set aside are
        never returned. A lease that runs out frees its entry.
        """

    def settle(self, entry_id: str, counts: Sequence[Count] = ()) -> None:
        """Remove an entry that arrived and count; an entry already gone counts nothing."""

    def release(self, entry_id: str, owner: str, reason: str, counts: Sequence[Count] = ()) -> None:
        """Give an entry back to the end of the line after an attempt that failed, and count.

        Does nothing once *owner*'s lease has gone to another.
        """

    def set_aside(
        self, entry_id: str, reason: str, detail: str, counts: Sequence[Count] = ()
    ) -> None:
        """Keep an entry that MLflow refused for good out of the others' way, and count.

        *detail* is the sentence the operator reads. An entry already set aside or gone counts
        nothing.
        """

    def retry(self, *entry_ids: str) -> Sequence[str]:
        """Put entries that were set aside back at the end of the line: without ids, all of them.

        Returns the ids of those put back; an id that is unknown or not set aside is left out.
        """

    def drop(self, *entry_ids: str) -> Sequence[str]:
        """Remove entries for good, waiting or set aside, counting nothing; return their ids."""

    def entries(self, limit: int) -> Sequence[OutboxEntry]:
        """Return up to *limit* entries, oldest first, those set aside included."""

    def state(self) -> OutboxState:
        """Return how full the outbox is."""
