"""How long a relay takes to empty an outbox of 100,000, and what `flowgauge outbox list` says.

    python -m benchmarks.emptying [--seconds SECONDS] [sqlite] [redis] [postgresql]

On each engine, a relay sends to a real MLflow under a limit that does not hold it: how many it
sent within SECONDS, how long all would take at that pace, and what the list said halfway. Then it
empties a small outbox under a limit of five a second: how long it took, and what the list said at
first.
"""

import json
import os
import re
import tempfile
import time
from contextlib import closing
from pathlib import Path

import click
from mlflow import MlflowClient

from benchmarks.backlog import ENGINES, Fill, listed
from flowgauge.airflow.entry import Entry
from flowgauge.store import Store, open_store
from stack.mlflow import mlflow_server
from stack.process import wait_for
from stack.relay import relay

_MANY, _FEW, _WARM = 100_000, 100, 10
_UNLIMITED = {"mlflow_api": {"max_calls": 1_000_000, "window_seconds": 10}}
_FIVE_A_SECOND = {"mlflow_api": {"max_calls": 50, "window_seconds": 10}}
_ROW = "| {} | {:.1f} a second | {} | {} | {:.0f} s | {} |"


def _body(experiment: str) -> str:
    entry = Entry(
        dag_id="etl",
        task_id="load",
        logged_ms=time.time_ns() // 1_000_000,
        experiment=experiment,
        run_name="load",
        metrics={"rows": 1000.0, "null_rate": 0.01},
        params={"source": "s3://bucket/key"},
        tags={"team": "data"},
        log_id="ID",
    )
    return entry.to_json()


def _waiting(store: Store) -> int:
    return store.outbox.state().entries


def _predicted() -> str:
    found = re.search(r"the last is sent in (\S+):", listed())
    return found[1] if found else "nothing"


def _measure(folder: Path, url: str, fill: Fill, seconds: float) -> tuple[object, ...]:
    os.environ.update(FLOWGAUGE_STORE=url, FLOWGAUGE_RATE_LIMITS=json.dumps(_UNLIMITED))
    with (
        closing(open_store(url, timeout_seconds=60)) as store,
        mlflow_server(folder / "mlflow") as mlflow,
    ):
        store.init()
        # Most experiments are older than what is logged to them.
        for name in ("many", "few"):
            MlflowClient(mlflow.url).create_experiment(name)
        fill(url, _MANY, _body("many"))
        with relay(folder / "many", mlflow_uri=mlflow.url, store=url):
            wait_for(lambda: _waiting(store) < _MANY - _WARM, "it has begun")
            left, began = _waiting(store), time.monotonic()
            time.sleep(seconds / 2)
            said = _predicted()
            time.sleep(max(began + seconds - time.monotonic(), 0))
            a_second = (left - _waiting(store)) / (time.monotonic() - began)
        os.environ["FLOWGAUGE_RATE_LIMITS"] = json.dumps(_FIVE_A_SECOND)
        store.windows.reset("mlflow_api")
        fill(url, _FEW, _body("few"))
        foretold = _predicted()
        with relay(folder / "few", mlflow_uri=mlflow.url, store=url):
            began = time.monotonic()
            wait_for(lambda: not _waiting(store), "it is empty", interval=0.2)
            took = time.monotonic() - began
    all_in = _MANY / a_second / 60
    return a_second, f"{all_in:.0f} min", said, took, foretold


@click.command(context_settings={"show_default": True})
@click.option("--seconds", default=30.0, help="How long the relay is watched.")
@click.argument("engines", nargs=-1)
def main(seconds: float, engines: tuple[str, ...]) -> None:
    """Print a row for each of ENGINES, or of all."""
    for name in engines or ENGINES:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            folder.chmod(0o755)
            os.environ["AIRFLOW_HOME"] = place
            with ENGINES[name](folder) as (url, fill):
                click.echo(_ROW.format(name, *_measure(folder, url, fill, seconds)))


if __name__ == "__main__":
    main()
