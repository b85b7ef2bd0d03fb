"""What processes of version 0.1 count, in hashes of its own, becomes rows.

Such processes may run beside newer ones for as long as an upgrade takes: each reading of the counts
takes over what they added since. Windows and outbox they share with newer ones.
"""

import json
from collections.abc import Callable, Sequence

from flowgauge.metrics import DAG_LAST_LOGGED
from flowgauge.store.counts import Change, as_json
from flowgauge.store.engine import Step
from flowgauge.store.from_0_1 import dag_changes, pair_changes, window_changes

__all__ = ["take_over"]

# Redis serves others in between.
_AT_ONCE = 50
_END = "0"
_LAST_LOGGED = json.dumps((DAG_LAST_LOGGED.name,))
_FAILURE = "failure:"
_SUM = "sum_us"


def take_over(run: Step) -> None:
    """Move all of it by scripts, a few in one atomic step."""
    cursor = _END
    while True:
        cursor, found = run("counted_by_0_1", _AT_ONCE, _LAST_LOGGED, cursor)
        if found:
            run("take_over", json.dumps([_moved(*each) for each in found]))
        elif cursor == _END:
            return


def _moved(kind: str, name: str, counted: str, *known: str | None) -> Sequence[str]:
    changes = _CHANGES[kind](name, json.loads(counted), *known)
    dag = json.dumps(json.loads(name)[:1]) if kind == "pair" else ""
    return kind, name, counted, as_json(changes), dag


def _pair(pair: str, values: dict[str, str], known: str | None) -> Sequence[Change]:
    dag_id, task_id = json.loads(pair)
    null_ratio, last_logged = values.get("null_ratio"), values.get("last_logged_us")
    return pair_changes(
        (dag_id, task_id),
        logs=int(values.get("logs", 0)),
        rows=int(values.get("rows", 0)),
        deferred=int(values.get("deferred", 0)),
        altered=int(values.get("altered", 0)),
        failures={
            name.removeprefix(_FAILURE): int(count)
            for name, count in values.items()
            if name.startswith(_FAILURE)
        },
        null_ratio=float(null_ratio) if null_ratio else None,
        last_logged=int(last_logged) / 1e6 if last_logged else None,
        known=float(known) if known else None,
    )


def _durations(dag_id: str, values: dict[str, str]) -> Sequence[Change]:
    seconds = int(values.pop(_SUM, 0)) / 1e6
    return dag_changes(dag_id, {bound: int(n) for bound, n in values.items()}, seconds)


def _window(key: str, counters: Sequence[int]) -> Sequence[Change]:
    calls, hits, wait_us, fail_open = counters
    return window_changes(key, calls, hits, wait_us / 1e6, fail_open)


_CHANGES: dict[str, Callable[..., Sequence[Change]]] = {
    "pair": _pair,
    "durations": _durations,
    "window": _window,
}
