"""What a log call costs a task: flowgauge against MLflow's fluent API, side by side.

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stack.mlflow import mlflow_server

_TRIALS = 5
# With the first, what the rate limit allows a minute.
_WARM_CALLS = 19
_PAYLOAD = {"rows": 442, "null_rate": 0.01}
_FACTS = {"checksum": "9f86d081", "source": "diabetes"}
_TAGS = {"environment": "dev", "component": "etl"}


def _flowgauge() -> None:
    from flowgauge.airflow import log_with_mlflow  # noqa: PLC0415 - is measured

    assert log_with_mlflow({**_PAYLOAD, **_FACTS}, "run", "benchmark", _TAGS)


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


_WAYS: dict[str, Callable[[], None]] = {"flowgauge": _flowgauge, "fluent API": _fluent}


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


def _compare(folder: Path) -> dict[str, dict[str, float]]:
    with mlflow_server(folder / "mlflow") as server:
        env = {
            **os.environ,
            "MLFLOW_TRACKING_URI": server.url,
            "AIRFLOW_HOME": str(folder / "airflow"),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        trials: dict[str, list[dict[str, float]]] = {way: [] for way in _WAYS}
        # In turn, so that what else the machine does hits both alike; the first round warms up.
        for number in range(_TRIALS + 1):
            # Its own, so that no trial waits for the calls of another.
            env["FLOWGAUGE_STORE"] = f"sqlite:///{folder}/store{number}.db"
            for way, results in trials.items():
                results.append(_in_new_process(way, env))
    return {way: _medians(results[1:]) for way, results in trials.items()}


def _in_new_process(way: str, env: dict[str, str]) -> Any:
    command = [sys.executable, __file__, way]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _medians(results: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in results) for name in results[0]}


def main() -> None:
    """Run the comparison and print it as a table."""
    with tempfile.TemporaryDirectory() as folder:
        medians = _compare(Path(folder))
    ours, theirs = medians["flowgauge"], medians["fluent API"]
    print(f"{'':24}{'flowgauge':>12}{'fluent API':>12}{'':>4}")
    for title, name in (("first call, ms", "cold"), ("later call, ms", "warm")):
        ratio = theirs[name] / ours[name]
        print(f"{title:24}{ours[name] * 1e3:12.1f}{theirs[name] * 1e3:12.1f}   {ratio:.1f}x")
    saved = theirs["megabytes"] - ours["megabytes"]
    print(
        f"{'memory on top, MB':24}{ours['megabytes']:12.1f}{theirs['megabytes']:12.1f}"
        f"   {saved:.0f} MB less"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_trial(sys.argv[1])))
    else:
        main()
