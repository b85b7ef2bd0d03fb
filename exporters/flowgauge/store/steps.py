"""Windows, counts and outbox of an engine that does each step by itself, in one round trip.

Such an engine (Redis by scripts, PostgreSQL by functions) has a step for every method, which is
sent strings and whole numbers: times and lengths are microseconds, counts the text of
`changes_json`.
"""

import json
from collections.abc import Sequence
from typing import Any, Protocol

from flowgauge.store.counts import SEEN, Change, Count, Totals, as_json, changes_json, read_totals
from flowgauge.store.outbox import Lease, NewEntry, OutboxEntry, OutboxState
from flowgauge.store.windows import (
    GRACE_SECONDS,
    RECHECK_SECONDS,
    Grant,
    WindowState,
    gave_up,
    granted,
    refused,
)

__all__ = ["StepCounts", "StepOutbox", "StepWindows", "Steps"]


class Steps(Protocol):
    """An engine: does a step atomically and returns what it answers, as from JSON."""

    def __call__(self, step: str, /, *arguments: str | int) -> Any:
        """Do the step of that name; raise `StoreError`."""


class StepWindows:
    """The `Windows` of an engine."""

    def __init__(self, steps: Steps) -> None:
        self._do = steps

    def acquire(
        self, key: str, ticket: str, max_calls: int, window_seconds: float, waited: float
    ) -> Grant:
        """See `Windows.acquire`."""
        wait_us = self._do(
            "acquire",
            key,
            ticket,
            max_calls,
            _microseconds(window_seconds),
            _microseconds(RECHECK_SECONDS),
            _microseconds(GRACE_SECONDS),
            changes_json(granted(key, waited)),
            changes_json(refused(key, waited)),
        )
        return Grant(wait_us / 1e6)

    def give_up(self, key: str, ticket: str, waited: float) -> None:
        """See `Windows.give_up`."""
        self._do("give_up", key, ticket, changes_json(gave_up(key, waited)))

    def reset(self, key: str) -> None:
        """See `Windows.reset`."""
        self._do("reset_window", key)

    def take_mirror_turn(self, key: str, interval_seconds: float) -> bool:
        """See `Windows.take_mirror_turn`."""
        return bool(self._do("take_mirror_turn", key, _microseconds(interval_seconds)))

    def mirror_written(self, key: str) -> None:
        """See `Windows.mirror_written`."""
        self._do("mirror_written", key)

    def mirror_gone(self, key: str) -> bool:
        """See `Windows.mirror_gone`."""
        return bool(self._do("mirror_gone", key))

    def states(self) -> Sequence[WindowState]:
        """See `Windows.states`."""
        return [
            WindowState(key, int(max_calls), int(window_us) / 1e6, calls, waiting)
            for key, max_calls, window_us, calls, waiting in sorted(self._do("windows"))
        ]


class StepCounts:
    """The `Counts` of an engine."""

    def __init__(self, steps: Steps) -> None:
        self._do = steps

    def add(self, *counts: Count) -> None:
        """See `Counts.add`."""
        self._do("add", changes_json(counts))

    def page(self, kind: str, after: int, limit: int) -> Sequence[Totals]:
        """See `Counts.page`."""
        return [
            read_totals(owner, int(place), values)
            for owner, place, values in self._do("page", kind, after, limit)
        ]

    def fold(self, kind: str, totals: Totals, other: Change) -> bool:
        """See `Counts.fold`."""
        owner = json.dumps(totals.labels)
        return bool(self._do("fold", kind, owner, SEEN, repr(totals.seen), as_json([other])))


class StepOutbox:
    """The `Outbox` of an engine."""

    def __init__(self, steps: Steps) -> None:
        self._do = steps

    def put(
        self,
        entry: NewEntry,
        counts: Sequence[Count] = (),
        *,
        lease: Lease | None = None,
        lapsed: Sequence[Count] = (),
    ) -> None:
        """See `Outbox.put`."""
        self._do(
            "put",
            entry.entry_id,
            entry.dag_id,
            entry.task_id,
            entry.body,
            entry.reason or "",
            lease.owner if lease else "",
            _microseconds(lease.seconds) if lease else 0,
            changes_json(lapsed),
            changes_json(counts),
        )

    def claim(self, lease: Lease, limit: int) -> Sequence[OutboxEntry]:
        """See `Outbox.claim`."""
        return _entries(self._do("claim", lease.owner, _microseconds(lease.seconds), limit))

    def settle(self, entry_id: str, counts: Sequence[Count] = ()) -> None:
        """See `Outbox.settle`."""
        self._do("settle", entry_id, changes_json(counts))

    def release(self, entry_id: str, owner: str, reason: str, counts: Sequence[Count] = ()) -> None:
        """See `Outbox.release`."""
        self._do("release", entry_id, owner, reason, changes_json(counts))

    def set_aside(
        self, entry_id: str, reason: str, detail: str, counts: Sequence[Count] = ()
    ) -> None:
        """See `Outbox.set_aside`."""
        self._do("set_aside", entry_id, reason, detail, changes_json(counts))

    def retry(self, *entry_ids: str) -> Sequence[str]:
        """See `Outbox.retry`."""
        put_back: Sequence[str] = self._do("retry", json.dumps(entry_ids))
        return put_back

    def drop(self, *entry_ids: str) -> Sequence[str]:
        """See `Outbox.drop`."""
        dropped: Sequence[str] = self._do("drop", json.dumps(entry_ids))
        return dropped

    def entries(self, limit: int) -> Sequence[OutboxEntry]:
        """See `Outbox.entries`."""
        return _entries(self._do("entries", limit))

    def state(self) -> OutboxState:
        """See `Outbox.state`."""
        entries, poison, oldest_us = self._do("outbox_state")
        return OutboxState(entries, poison, int(oldest_us) / 1e6 if oldest_us else None)


def _entries(found: Sequence[dict[str, Any]]) -> Sequence[OutboxEntry]:
    return [_entry(**fields) for fields in found]


def _entry(
    *,
    created_us: str | int,
    attempts: str | int | None = None,
    reason: str | None = None,
    **fields: str,
) -> OutboxEntry:
    return OutboxEntry(
        created=int(created_us) / 1e6, attempts=int(attempts or 0), reason=reason or None, **fields
    )


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
