"""The jobs of the Redis store: each is one script, and so atomic."""

import bisect
import heapq
import json
from collections.abc import Sequence

from flowgauge.store.base import (
    Deferral,
    Grant,
    Logged,
    LogTotals,
    OutboxEntry,
    OutboxState,
    WindowState,
)
from flowgauge.store.redis import replies
from flowgauge.store.redis.connection import RedisConnection

__all__ = ["RedisStore"]


class RedisStore:
    """A `Store` in the Redis at *url*; its clock is Redis' own."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        redis = RedisConnection(url, timeout_seconds)
        self._acquire = redis.script("window", "acquire")
        self._give_up = redis.script("window", "give_up")
        self._count_fail_open = redis.script("window", "count_fail_open")
        self._reset_window = redis.script("window", "reset_window")
        self._take_mirror_turn = redis.script("window", "take_mirror_turn")
        self._mirror_written = redis.script("window", "mirror_written")
        self._mirror_gone = redis.script("window", "mirror_gone")
        self._windows = redis.script("window", "windows")
        self._record = redis.script("totals", "record")
        self._defer = redis.script("totals", "outbox", "defer")
        self._claim = redis.script("outbox", "claim")
        self._settle = redis.script("totals", "outbox", "settle")
        self._release = redis.script("totals", "outbox", "release")
        self._set_aside = redis.script("totals", "outbox", "set_aside")
        self._retry = redis.script("outbox", "retry")
        self._drop = redis.script("outbox", "drop")
        self._entries = redis.script("outbox", "entries")
        self._outbox_state = redis.script("outbox", "outbox_state")
        self._log_totals = redis.script("totals", "log_totals")
        self.close = redis.close

    def acquire(
        self, key: str, ticket: str, max_calls: int, window_seconds: float, waited: float
    ) -> Grant:
        """See `Store.acquire`."""
        wait = self._acquire(
            key,
            ticket,
            max_calls,
            _microseconds(window_seconds),
            _microseconds(waited),
        )
        return Grant(wait / 1e6)

    def give_up(self, key: str, ticket: str, waited: float) -> None:
        """See `Store.give_up`."""
        self._give_up(key, ticket, _microseconds(waited))

    def count_fail_open(self, key: str, calls: int) -> None:
        """See `Store.count_fail_open`."""
        self._count_fail_open(key, calls)

    def reset_window(self, key: str) -> None:
        """See `Store.reset_window`."""
        self._reset_window(key)

    def take_mirror_turn(self, key: str, interval_seconds: float) -> bool:
        """See `Store.take_mirror_turn`."""
        return bool(self._take_mirror_turn(key, _microseconds(interval_seconds)))

    def mirror_written(self, key: str) -> None:
        """See `Store.mirror_written`."""
        self._mirror_written(key)

    def mirror_gone(self, key: str) -> bool:
        """See `Store.mirror_gone`."""
        return bool(self._mirror_gone(key))

    def windows(self) -> Sequence[WindowState]:
        """See `Store.windows`."""
        return replies.windows(self._windows())

    def record(self, logged: Logged) -> None:
        """See `Store.record`."""
        self._record(*_arrival(logged), logged.reason or "", *_call(logged))

    def defer(self, logged: Logged, deferral: Deferral) -> None:
        """See `Store.defer`."""
        self._defer(
            deferral.entry_id,
            deferral.body,
            _pair(logged),
            logged.reason or "",
            *_call(logged),
        )

    def claim(self, owner: str, limit: int, lease_seconds: float) -> Sequence[OutboxEntry]:
        """See `Store.claim`."""
        return replies.entries(self._claim(owner, limit, _microseconds(lease_seconds)))

    def settle(self, entry_id: str, logged: Logged) -> None:
        """See `Store.settle`."""
        self._settle(entry_id, *_arrival(logged))

    def release(self, entry_id: str, owner: str, reason: str) -> None:
        """See `Store.release`."""
        self._release(entry_id, owner, reason)

    def set_aside(self, entry_id: str, reason: str, detail: str) -> None:
        """See `Store.set_aside`."""
        self._set_aside(entry_id, reason, detail)

    def retry(self, *entry_ids: str) -> Sequence[str]:
        """See `Store.retry`."""
        put_back: list[str] = self._retry(*entry_ids)
        return put_back

    def drop(self, *entry_ids: str) -> Sequence[str]:
        """See `Store.drop`."""
        dropped: list[str] = self._drop(*entry_ids)
        return dropped

    def outbox(self, limit: int) -> Sequence[OutboxEntry]:
        """See `Store.outbox`."""
        waiting, aside = map(replies.entries, self._entries(limit))
        return list(heapq.merge(waiting, aside, key=lambda entry: entry.created))[:limit]

    def outbox_state(self) -> OutboxState:
        """See `Store.outbox_state`."""
        return replies.outbox_state(*self._outbox_state())

    def log_totals(self) -> LogTotals:
        """See `Store.log_totals`."""
        pairs, durations = json.loads(self._log_totals())
        return LogTotals(replies.pairs(pairs), replies.durations(durations))


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _pair(logged: Logged) -> str:
    return json.dumps([logged.dag_id, logged.task_id])


def _arrival(logged: Logged) -> tuple[str, int, str]:
    null_ratio = "" if logged.null_ratio is None else repr(logged.null_ratio)
    return _pair(logged), logged.rows, null_ratio


def _call(logged: Logged) -> tuple[int, str, str, int]:
    bound = replies.BOUNDS[bisect.bisect_left(replies.BOUNDS, logged.duration_seconds)]
    duration = _microseconds(logged.duration_seconds)
    return int(logged.altered), logged.dag_id, repr(bound), duration
