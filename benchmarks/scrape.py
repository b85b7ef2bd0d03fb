"""What a scrape of the store costs the exporter, and that it does not grow with the calls counted.

    python -m benchmarks.scrape

1,000 pairs of DAG and task; after 10,000 logged calls and again after 1,000,000. The page is asked
of a real exporter beside a real MLflow, which has no runs: what runs cost is `mlflow_load`'s to
measure. CPU is what the exporter used for a scrape; unlike the time it hardly depends on what else
the machine does.
"""

import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import httpx
import psutil

from flowgauge.store import Store, open_store
from flowgauge.store.log_calls import Logged, ended
from stack.exporter import exporter
from stack.mlflow import mlflow_server
from stack.redis import redis_server

_PAIRS = [(f"dag{number // 10}", f"task{number % 10}") for number in range(1000)]
_FEW, _MANY = 10_000, 1_000_000
_SCRAPES = 50
_AS_DEFAULT = ("--runs-interval-seconds", "60")


def _log(store: Store, first: int, last: int) -> None:
    for number in range(first, last):
        dag_id, task_id = _PAIRS[number % len(_PAIRS)]
        logged = Logged(dag_id, task_id, (number % 500) / 100, rows=7, null_ratio=0.01)
        store.counts.add(*ended(logged))


def _scrape_milliseconds(folder: Path, mlflow_uri: str, store_url: str) -> tuple[float, float]:
    """Return the median time and the mean CPU time of a scrape."""
    seconds = []
    with (
        exporter(folder, mlflow_uri=mlflow_uri, store=store_url, options=_AS_DEFAULT) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        client.get("/metrics")
        used = -_cpu_seconds()
        for _ in range(_SCRAPES):
            started = time.perf_counter()
            page = client.get("/metrics").raise_for_status().text
            seconds.append(time.perf_counter() - started)
        used += _cpu_seconds()
    assert page.count("mlflow_dag_logs_total{") == len(_PAIRS)
    return statistics.median(seconds) * 1e3, used / _SCRAPES * 1e3


def _cpu_seconds() -> float:
    (process,) = (child for child in psutil.Process().children() if "exporter" in child.cmdline())
    times = process.cpu_times()
    return times.user + times.system


def _measure(folder: Path, kind: str, mlflow_uri: str, store_url: str) -> None:
    with closing(open_store(store_url, timeout_seconds=10)) as store:
        for first, last in ((0, _FEW), (_FEW, _MANY)):
            _log(store, first, last)
            taken, cpu = _scrape_milliseconds(folder, mlflow_uri, store_url)
            print(f"| {kind} | {last:,} | {taken:.0f} ms | {cpu:.0f} ms |", flush=True)


def main() -> None:
    """Print the table."""
    print("| store | calls logged | scrape, p50 | CPU |\n|---|---|---|---|")
    with (
        tempfile.TemporaryDirectory() as folder,
        mlflow_server(Path(folder, "mlflow")) as server,
        redis_server(Path(folder)) as redis,
    ):
        _measure(Path(folder), "SQLite", server.url, f"sqlite:///{folder}/store.db")
        _measure(Path(folder), "Redis", server.url, redis)


if __name__ == "__main__":
    main()
