"""What a log call costs a task: flowgauge on each store against MLflow's fluent API.

    python -m benchmarks.log_call

Every trial is a new process that has loaded what an Airflow task's process has loaded before the
task's code begins. It logs one payload (cold: imports included), then 19 more (warm).
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from stack.mlflow import mlflow_server
from stack.postgres import postgres
from stack.redis import redis_server

_TRIALS = 5
# With the first, what the rate limit allows a minute.
_WARM_CALLS = 19
_PAYLOAD = {"rows": 442, "null_rate": 0.01}
_FACTS = {"checksum": "9f86d081", "source": "diabetes"}
_TAGS = {"environment": "dev", "component": "etl"}


def _now() -> None:
    from flowgauge.airflow import log_with_mlflow  # noqa: PLC0415 - is measured

    assert log_with_mlflow({**_PAYLOAD, **_FACTS}, "run", "benchmark", _TAGS)


def _later() -> None:
    from flowgauge.airflow import log_with_mlflow  # noqa: PLC0415 - is measured

    log_with_mlflow({**_PAYLOAD, **_FACTS}, "run", "benchmark", _TAGS, delivery="later")


def _fluent() -> None:
    import mlflow  # noqa: PLC0415 - is measured

    mlflow.set_experiment("benchmark")
    with mlflow.start_run(run_name="run"):
        for name, value in _FACTS.items():
            mlflow.log_param(name, value)
        for name, figure in _PAYLOAD.items():
            mlflow.log_metric(name, figure)
        for name, value in _TAGS.items():
            mlflow.set_tag(name, value)


_FLUENT = "fluent API"
_WAYS: dict[str, Callable[[], None]] = {"now": _now, "later": _later, _FLUENT: _fluent}


def _trial(way: str) -> dict[str, float]:
    """Measure in this process: seconds of the first call, of a later one, and MB on top."""
    import airflow.sdk.execution_time.task_runner  # noqa: F401, PLC0415 - what a task finds loaded

    before = _peak_mb()
    log = _WAYS[way]
    started = time.perf_counter()
    log()
    cold = time.perf_counter() - started
    warm = []
    for _ in range(_WARM_CALLS):
        started = time.perf_counter()
        log()
        warm.append(time.perf_counter() - started)
    return {"cold": cold, "warm": statistics.median(warm), "megabytes": _peak_mb() - before}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def _stores(folder: Path) -> Iterator[Mapping[str, str]]:
    """Yield the URLs of the stores, by name."""
    with ExitStack() as parts:
        yield {
            "SQLite": f"sqlite:///{folder}/store.db",
            "Redis": parts.enter_context(redis_server(folder / "redis")),
            "PostgreSQL": parts.enter_context(postgres(folder / "postgres")).url,
        }


def _compare(folder: Path) -> Mapping[tuple[str, str], Mapping[str, float]]:
    """Return the medians by store and way; the fluent API has no store."""
    # The rate limit is not what is measured.
    (folder / "benchmark.yaml").write_text(
        "domains: {mlflow: mlflow.example.com}\n"
        "rate_limits: {mlflow_api: {max_calls: 1000000, window_seconds: 1}}\n"
    )
    with mlflow_server(folder / "mlflow") as server, _stores(folder) as stores:
        env = {
            **os.environ,
            "MLFLOW_TRACKING_URI": server.url,
            "AIRFLOW_HOME": str(folder / "airflow"),
            "ENV": "benchmark",
            "FLOWGAUGE_ENVIRONMENTS": str(folder),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        measured = [("", _FLUENT), *((store, way) for store in stores for way in ("now", "later"))]
        trials: dict[tuple[str, str], list[dict[str, float]]] = {each: [] for each in measured}
        # In turn, so that what else the machine does hits all alike; the first round warms up.
        for _ in range(_TRIALS + 1):
            for (store, way), results in trials.items():
                own = {**env, "FLOWGAUGE_STORE": stores.get(store, stores["SQLite"])}
                results.append(_in_new_process(way, own))
    return {each: _medians(results[1:]) for each, results in trials.items()}


def _in_new_process(way: str, env: Mapping[str, str]) -> Any:
    command = [sys.executable, __file__, way]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _medians(results: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in results) for name in results[0]}


_ROW = "{:22}{:>14}{:>8}{:>14}{:>8}{:>12}"


def main() -> None:
    """Run the comparison and print it as a table."""
    with tempfile.TemporaryDirectory() as folder:
        medians = _compare(Path(folder))
    theirs = medians["", _FLUENT]
    print(_ROW.format("", "first call", "", "later call", "", "memory"))
    for (store, way), ours in medians.items():
        figures = []
        for name in ("cold", "warm"):
            figures += [f"{ours[name] * 1e3:.1f} ms", f"{theirs[name] / ours[name]:.1f}x"]
        print(_ROW.format(f"{store} {way}".strip(), *figures, f"{ours['megabytes']:.0f} MB"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_trial(sys.argv[1])))
    else:
        main()
