"""What a log call costs a task: flowgauge on each store against MLflow's fluent API.

    python -m benchmarks.log_call [--trials 1]

Every trial is a new process that has loaded what an Airflow task's process has loaded before the
task's code begins. It logs one payload (cold: imports included), then 19 more (warm). `processor`
is what of the first is work of that process.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks.first_call import FLUENT
from stack.mlflow import mlflow_server
from stack.postgres import postgres
from stack.redis import redis_server


@contextmanager
def _stores(folder: Path) -> Iterator[Mapping[str, str]]:
    """Yield the URLs of the stores, by name."""
    with ExitStack() as parts:
        yield {
            "SQLite": f"sqlite:///{folder}/store.db",
            "Redis": parts.enter_context(redis_server(folder / "redis")),
            "PostgreSQL": parts.enter_context(postgres(folder / "postgres")).url,
        }


def _compare(folder: Path, number: int) -> Mapping[tuple[str, str], Mapping[str, float]]:
    """Return the medians by store and way; the fluent API has no store."""
    with mlflow_server(folder / "mlflow") as server, _stores(folder) as stores:
        env = {
            **os.environ,
            "MLFLOW_TRACKING_URI": server.url,
            "AIRFLOW_HOME": str(folder / "airflow"),
            # The rate limit is not what is measured.
            "FLOWGAUGE_RATE_LIMITS": '{"mlflow_api": {"max_calls": 1000000, "window_seconds": 1}}',
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        # pip leaves packages compiled. Where this is set, a checkout is not, and each trial would
        # compile flowgauge anew.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        measured = [("", FLUENT), *((store, way) for store in stores for way in ("now", "later"))]
        trials: dict[tuple[str, str], list[dict[str, float]]] = {each: [] for each in measured}
        # In turn, so that what else the machine does hits all alike; the first round warms up.
        for _ in range(number + 1):
            for (store, way), results in trials.items():
                own = {**env, "FLOWGAUGE_STORE": stores.get(store, stores["SQLite"])}
                results.append(_in_new_process(way, own))
    return {each: _medians(results[1:]) for each, results in trials.items()}


def _in_new_process(way: str, env: Mapping[str, str]) -> Any:
    command = [sys.executable, "-m", "benchmarks.first_call", way]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _medians(results: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in results) for name in results[0]}


_ROW = "{:22}{:>14}{:>8}{:>14}{:>8}{:>14}{:>8}{:>12}"


@click.command(context_settings={"show_default": True})
@click.option("--trials", default=5, help="New processes for each store and way, beside a first.")
def main(trials: int) -> None:
    """Run the comparison and print it as a table."""
    with tempfile.TemporaryDirectory() as folder:
        medians = _compare(Path(folder), trials)
    theirs = medians["", FLUENT]
    print(_ROW.format("", "first call", "", "processor", "", "later call", "", "memory"))
    for (store, way), ours in medians.items():
        figures = []
        for name in ("cold", "processor", "warm"):
            figures += [f"{ours[name] * 1e3:.1f} ms", f"{theirs[name] / ours[name]:.1f}x"]
        print(_ROW.format(f"{store} {way}".strip(), *figures, f"{ours['megabytes']:.0f} MB"))


if __name__ == "__main__":
    main()
