"""The outbox in Redis, on Redis' own clock."""

import heapq
import json
from collections.abc import Sequence

from flowgauge.store.counts import Count, changes_json
from flowgauge.store.outbox import Lease, NewEntry, OutboxEntry, OutboxState
from flowgauge.store.redis.connection import RedisConnection
from flowgauge.store.redis.replies import fields

__all__ = ["RedisOutbox"]


class RedisOutbox:
    """The `Outbox` of *redis*; every step is one script, and so atomic."""

    def __init__(self, redis: RedisConnection) -> None:
        self._put = redis.script("counts", "outbox", "put")
        self._claim = redis.script("counts", "outbox", "claim")
        self._settle = redis.script("counts", "outbox", "settle")
        self._release = redis.script("counts", "outbox", "release")
        self._set_aside = redis.script("counts", "outbox", "set_aside")
        self._retry = redis.script("outbox", "retry")
        self._drop = redis.script("outbox", "drop")
        self._entries = redis.script("outbox", "entries")
        self._state = redis.script("outbox", "outbox_state")

    def put(
        self,
        entry: NewEntry,
        counts: Sequence[Count] = (),
        *,
        lease: Lease | None = None,
        lapsed: Sequence[Count] = (),
    ) -> None:
        """See `Outbox.put`."""
        self._put(
            entry.entry_id,
            json.dumps((entry.dag_id, entry.task_id)),
            entry.body,
            entry.reason or "",
            lease.owner if lease else "",
            round(lease.seconds * 1e6) if lease else 0,
            changes_json(lapsed),
            changes_json(counts),
        )

    def claim(self, lease: Lease, limit: int) -> Sequence[OutboxEntry]:
        """See `Outbox.claim`."""
        return _entries(self._claim(lease.owner, limit, round(lease.seconds * 1e6)))

    def settle(self, entry_id: str, counts: Sequence[Count] = ()) -> None:
        """See `Outbox.settle`."""
        self._settle(entry_id, changes_json(counts))

    def release(self, entry_id: str, owner: str, reason: str, counts: Sequence[Count] = ()) -> None:
        """See `Outbox.release`."""
        self._release(entry_id, owner, reason, changes_json(counts))

    def set_aside(
        self, entry_id: str, reason: str, detail: str, counts: Sequence[Count] = ()
    ) -> None:
        """See `Outbox.set_aside`."""
        self._set_aside(entry_id, reason, detail, changes_json(counts))

    def retry(self, *entry_ids: str) -> Sequence[str]:
        """See `Outbox.retry`."""
        put_back: list[str] = self._retry(*entry_ids)
        return put_back

    def drop(self, *entry_ids: str) -> Sequence[str]:
        """See `Outbox.drop`."""
        dropped: list[str] = self._drop(*entry_ids)
        return dropped

    def entries(self, limit: int) -> Sequence[OutboxEntry]:
        """See `Outbox.entries`."""
        waiting, aside = map(_entries, self._entries(limit))
        return list(heapq.merge(waiting, aside, key=lambda entry: entry.created))[:limit]

    def state(self) -> OutboxState:
        """See `Outbox.state`."""
        entries, poison, oldest = self._state()
        return OutboxState(entries, poison, float(oldest[1]) / 1e6 if oldest else None)


def _entries(reply: Sequence[tuple[str, Sequence[str]]]) -> list[OutboxEntry]:
    return [_entry(entry_id, fields(values)) for entry_id, values in reply]


def _entry(entry_id: str, values: dict[str, str]) -> OutboxEntry:
    dag_id, task_id = json.loads(values["pair"])
    return OutboxEntry(
        entry_id=entry_id,
        dag_id=dag_id,
        task_id=task_id,
        body=values["body"],
        reason=values.get("reason") or None,
        created=int(values["created_us"]) / 1e6,
        attempts=int(values.get("attempts", 0)),
        poison=values.get("poison"),
    )
