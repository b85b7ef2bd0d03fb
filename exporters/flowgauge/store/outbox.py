"""Outbox: the payloads that MLflow has not got yet."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from flowgauge.store.counts import Count, changes_json
from flowgauge.store.engine import Step, microseconds, reading

__all__ = ["Lease", "NewEntry", "Outbox", "OutboxEntry", "OutboxState"]

# Entries read in one step: few enough that it holds up nobody else for longer than milliseconds.
_PAGE = 25
# The year 9999.
_END_OF_CALENDAR = 253_000_000_000


class NewEntry(NamedTuple):
    """A payload to keep; `entry_id` is chosen by the client and makes it unique.

    `body` is the caller's own serialised payload, opaque to the store. `reason` is why it is here.
    """

    entry_id: str
    dag_id: str
    task_id: str
    body: str
    reason: str | None = None


class OutboxEntry(NamedTuple):
    """One payload waiting to be sent: a `NewEntry`, and what became of it.

    `reason` is why it could not be sent the last time. `created` is when it was put in, `attempts`
    how often sending it failed, by its own call too, `poison` why it was set aside, if so.
    """

    entry_id: str
    dag_id: str
    task_id: str
    body: str
    reason: str | None = None
    created: float = 0.0
    attempts: int = 0
    poison: str | None = None


class Lease(NamedTuple):
    """For *seconds*, an entry is *owner*'s alone."""

    owner: str
    seconds: float


class OutboxState(NamedTuple):
    """How full the outbox is; `oldest` is when its oldest waiting entry was put in."""

    entries: int
    poison: int
    oldest: float | None


class Outbox:
    """The outbox of one store; every method but the lists is one atomic step, and one round trip.

    Each *counts* are counted in that same step, and only if the step did something.
    """

    def __init__(self, do: Step) -> None:
        self._do = do

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
        self._do(
            "put",
            entry.entry_id,
            entry.dag_id,
            entry.task_id,
            entry.body,
            entry.reason or "",
            lease.owner if lease else "",
            microseconds(lease.seconds) if lease else 0,
            changes_json(lapsed),
            changes_json(counts),
        )

    def claim(self, lease: Lease, limit: int) -> Sequence[OutboxEntry]:
        """Return the first *limit* waiting entries that nobody holds, leased.

        They come in the order they were put in, given back or put back. Entries set aside are
        never returned. A lease that runs out frees its entry; should the store's clock be set
        back, it takes no longer from then than its own length or that of who claims next.
        """
        found = self._do("claim", lease.owner, microseconds(lease.seconds), limit)
        with reading("claim"):
            return _entries(found)

    def is_due(self) -> bool:
        """Return whether there is an entry that could be claimed now."""
        return bool(self._do("due"))

    def settle(self, entry_id: str, counts: Sequence[Count] = ()) -> None:
        """Remove an entry that arrived and count; an entry already gone counts nothing."""
        self._do("settle", entry_id, changes_json(counts))

    def release(self, entry_id: str, owner: str, reason: str, counts: Sequence[Count] = ()) -> None:
        """Give an entry back to the end of the line after an attempt that failed, and count.

        Does nothing once *owner*'s lease has gone to another.
        """
        self._do("release", entry_id, owner, reason, changes_json(counts))

    def set_aside(
        self, entry_id: str, reason: str, detail: str, counts: Sequence[Count] = ()
    ) -> None:
        """Keep an entry that MLflow refused for good out of the others' way, and count.

        *detail* is the sentence the operator reads. An entry already set aside or gone counts
        nothing.
        """
        self._do("set_aside", entry_id, reason, detail, changes_json(counts))

    def retry(self, *entry_ids: str) -> Sequence[str]:
        """Put entries that were set aside back at the end of the line: without ids, all of them.

        Returns the ids of those put back; an id that is unknown or not set aside is left out.
        """
        put_back = self._do("retry", json.dumps(entry_ids))
        with reading("retry"):
            return [*map(_text, put_back)]

    def drop(self, *entry_ids: str) -> Sequence[str]:
        """Remove entries for good, waiting or set aside, counting nothing; return their ids."""
        dropped = self._do("drop", json.dumps(entry_ids))
        with reading("drop"):
            return [*map(_text, dropped)]

    def entries(self, limit: int) -> Sequence[OutboxEntry]:
        """Return up to *limit* entries, oldest first, those set aside included."""
        return list(self.each_entry(limit))

    def each_entry(self, limit: int) -> Iterator[OutboxEntry]:
        """Yield the same, read page by page, so that a large outbox answers others in between."""
        cursor = ""
        while limit > 0:
            page = self._do("entries", cursor, min(limit, _PAGE))
            with reading("entries"):
                cursor, found = page
                entries = _entries(found)
            if not entries:
                return
            yield from entries
            limit -= len(entries)

    def state(self) -> OutboxState:
        """Return how full the outbox is."""
        found = self._do("outbox_state")
        with reading("outbox_state"):
            entries, poison, oldest_us = found
            return OutboxState(int(entries), int(poison), _time(oldest_us) if oldest_us else None)


def _entries(found: Sequence[dict[str, Any]]) -> Sequence[OutboxEntry]:
    return [_entry(**fields) for fields in found]


def _entry(
    *,
    entry_id: object,
    created_us: str | int = 0,
    attempts: str | int | None = None,
    dag_id: object = None,
    task_id: object = None,
    body: object = None,
    reason: object = None,
    poison: object = None,
) -> OutboxEntry:
    """Read what an engine found: whoever may write to it may write anything, and remove it."""
    return OutboxEntry(
        entry_id=_text(entry_id),
        dag_id=_text(dag_id),
        task_id=_text(task_id),
        body=_text(body),
        reason=_text(reason) or None,
        created=_time(created_us),
        attempts=_whole(attempts),
        poison=None if poison is None else _text(poison),
    )


def _text(found: object) -> str:
    if isinstance(found, bytes):
        return found.decode(errors="replace")
    return "" if found is None else str(found)


def _time(found_us: str | int | None) -> float:
    """Return a time that a calendar knows, in Unix seconds; 0 for any other."""
    seconds = _whole(found_us) / 1e6
    return seconds if 0 <= seconds < _END_OF_CALENDAR else 0.0


def _whole(found: str | int | None) -> int:
    try:
        return int(found or 0)
    except (ValueError, OverflowError):
        return 0
