"""How long a scrape holds up a Redis at a time.

    python -m benchmarks.redis_held

50,000 pairs of DAG and task, 10,000 DAGs, 1,000 rate limits, 1,000 payloads in the outbox: all that
the exporter reads of it, and what the slow log of Redis has of each part. Redis is given priority
where that is allowed: what counts is its own work, not its wait for a processor.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from flowgauge.store import NewEntry, Store, open_store
from flowgauge.store.log_calls import Logged, ended, failed
from stack.redis import client_at, redis_server

_PAIRS, _OF_ONE_DAG, _LIMITS, _ENTRIES = 50_000, 5, 1000, 1000
_AT_ONCE = 50
_SCRAPES = 3
_PRIORITY = 50


def _fill(store: Store) -> None:
    for first in range(0, _PAIRS, _AT_ONCE):
        counts = []
        for number in range(first, first + _AT_ONCE):
            dag_id = f"dag_number_{number // _OF_ONE_DAG}"
            logged = Logged(dag_id, f"task_number_{number}", 0.3, rows=10, null_ratio=0.5)
            counts += [*ended(logged), *failed(*logged.pair, "timeout")]
        store.counts.add(*counts)
    for number in range(_LIMITS):
        store.windows.acquire(f"key_{number}", "ticket", 20, 60, 0)
    for number in range(_ENTRIES):
        store.outbox.put(NewEntry(str(number), "dag", "task", "x" * 5000))


def _reads(store: Store) -> dict[str, Callable[[], object]]:
    return {
        "pairs": lambda: list(store.counts.totals("dag_id", "task_id")),
        "DAGs": lambda: list(store.counts.totals("dag_id")),
        "rate limits": lambda: (list(store.counts.totals("key")), store.windows.states()),
        "outbox": store.outbox.state,
        "risks": store.risks,
    }


def _measure(store: Store, client: Any) -> None:
    print("| read | scripts over 0.1 ms | the longest | over 5 ms |\n|---|--:|--:|--:|")
    for name, read in _reads(store).items():
        client.slowlog_reset()
        for _ in range(_SCRAPES):
            read()
        held = [each["duration"] for each in client.slowlog_get(1_000_000)]
        longest = max(held, default=0) / 1000
        late = sum(each > 5000 for each in held)
        print(f"| {name} | {len(held) / _SCRAPES:.0f} | {longest:.1f} ms | {late} |", flush=True)


def main() -> None:
    """Print the table."""
    with (
        tempfile.TemporaryDirectory() as folder,
        redis_server(Path(folder)) as url,
        closing(open_store(url, timeout_seconds=60)) as store,
        closing(client_at(url)) as client,
    ):
        _fill(store)
        with suppress(PermissionError):
            redis_pid = client.info("server")["process_id"]
            os.sched_setscheduler(redis_pid, os.SCHED_FIFO, os.sched_param(_PRIORITY))
        client.config_set("slowlog-log-slower-than", 100)
        client.config_set("slowlog-max-len", 1_000_000)
        _measure(store, client)


if __name__ == "__main__":
    main()
