"""From what the scripts return to what the store promises."""

import json
import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from flowgauge.metrics import DAG_LOG_DURATION
from flowgauge.store.base import OutboxEntry, OutboxState, PairTotals, WindowState

__all__ = ["BOUNDS", "durations", "entries", "outbox_state", "pairs", "windows"]

BOUNDS = (*DAG_LOG_DURATION.buckets, math.inf)

_FAILURE = "failure:"


def windows(reply: Sequence[Any]) -> list[WindowState]:
    """Read the reply of windows.lua."""
    return [_window(*state) for state in sorted(reply)]


def entries(reply: Sequence[Any]) -> list[OutboxEntry]:
    """Read ids and hashes of entries."""
    return [_entry(entry_id, _fields(fields)) for entry_id, fields in reply]


def pairs(reply: Sequence[Any]) -> list[PairTotals]:
    """Read the totals of every DAG and task."""
    return [_pair(json.loads(pair), _fields(fields)) for pair, fields in reply]


def durations(reply: Sequence[Any]) -> dict[str, tuple[Sequence[int], float]]:
    """Read the histogram of every DAG."""
    return {dag_id: _histogram(_fields(fields)) for dag_id, fields in reply}


def outbox_state(entries: int, poison: int, oldest: Sequence[str]) -> OutboxState:
    """Read two counts, and the oldest entry's id and time if there is one."""
    created = _seconds(oldest[1]) if oldest else None
    return OutboxState(entries=entries, poison=poison, oldest=created)


def _window(key: str, calls: int, waiting: int, reply: Sequence[str]) -> WindowState:
    fields = _fields(reply)
    return WindowState(
        key=key,
        max_calls=int(fields["max_calls"]),
        window_seconds=_seconds(fields["window_us"]),
        window_calls=calls,
        waiting=waiting,
        calls=int(fields.get("calls", 0)),
        hits=int(fields.get("hits", 0)),
        wait_seconds=_seconds(fields.get("wait_us", 0)),
        fail_open=int(fields.get("fail_open", 0)),
    )


def _entry(entry_id: str, fields: dict[str, str]) -> OutboxEntry:
    dag_id, task_id = json.loads(fields["pair"])
    return OutboxEntry(
        entry_id=entry_id,
        dag_id=dag_id,
        task_id=task_id,
        created=_seconds(fields["created_us"]),
        body=fields["body"],
        attempts=int(fields.get("attempts", 0)),
        poison=fields.get("poison"),
    )


def _pair(pair: Sequence[str], fields: dict[str, str]) -> PairTotals:
    dag_id, task_id = pair
    null_ratio = fields.get("null_ratio")
    last_logged = fields.get("last_logged_us")
    return PairTotals(
        dag_id=dag_id,
        task_id=task_id,
        logs=int(fields.get("logs", 0)),
        failures={
            name.removeprefix(_FAILURE): int(count)
            for name, count in fields.items()
            if name.startswith(_FAILURE)
        },
        deferred=int(fields.get("deferred", 0)),
        altered=int(fields.get("altered", 0)),
        rows=int(fields.get("rows", 0)),
        null_ratio=float(null_ratio) if null_ratio else None,
        last_logged=_seconds(last_logged) if last_logged else None,
    )


def _histogram(fields: dict[str, str]) -> tuple[Sequence[int], float]:
    counts = [int(fields.get(repr(bound), 0)) for bound in BOUNDS]
    return list(accumulate(counts)), _seconds(fields["sum_us"])


def _fields(reply: Sequence[str]) -> dict[str, str]:
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _seconds(microseconds: str | float) -> float:
    return float(microseconds) / 1e6
