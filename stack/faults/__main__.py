"""`make faults`: kill log calls at every line, on every store, and print what came of it."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import click

from stack.faults.kills import Aftermath, kill_log_calls, settle_all
from stack.mlflow import MlflowServer, mlflow_server
from stack.postgres import postgres
from stack.redis import redis_server

_ROW = "{:<12} {:<8} {:>6} {:>6} {:>6} {:>8} {:>8} {:>11}  {}"
_NOBODY = "http://127.0.0.1:9"
# The rate limit is not what is tried here.
_ENVIRONMENT = """\
domains: {mlflow: mlflow.example.com}
rate_limits: {mlflow_api: {max_calls: 1000000, window_seconds: 1}}
"""


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/store.db"


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    with redis_server(folder) as url:
        yield url


@contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    with postgres(folder) as server:
        yield server.url


_STORES: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "sqlite": _sqlite,
    "redis": _redis,
    "postgresql": _postgresql,
}


@click.command(context_settings={"show_default": True})
@click.option("--step", default=1, help="Kill at each of so many lines.")
@click.option("--store", "stores", multiple=True, type=click.Choice(list(_STORES)), help="All.")
def main(step: int, stores: tuple[str, ...]) -> None:
    """Kill log calls at every line of theirs, one after the other, with MLflow up and down.

    `early` are those killed before anything was written down.
    """
    click.echo(
        _ROW.format("store", "MLflow", "calls", "early", "lost", "doubled", "open", "counted", "")
    )
    well = True
    with tempfile.TemporaryDirectory() as name, ExitStack() as parts:
        folder = Path(name)
        (folder / "faults.yaml").write_text(_ENVIRONMENT)
        os.environ.update(
            AIRFLOW_HOME=name,
            ENV="faults",
            FLOWGAUGE_ENVIRONMENTS=name,
            MLFLOW_TRACKING_URI=_NOBODY,
        )
        mlflow = parts.enter_context(mlflow_server(folder / "mlflow"))
        for store in stores or _STORES:
            for state, uri in (("up", mlflow.url), ("down", _NOBODY)):
                place = folder / f"{store}-{state}"
                place.mkdir()
                with _STORES[store](place) as store_url:
                    aftermath = _kill(mlflow, uri, store_url, step)
                well &= _say(store, state, aftermath)
    raise SystemExit(0 if well else 1)


def _kill(mlflow: MlflowServer, uri: str, store_url: str, step: int) -> Aftermath:
    experiment = uuid4().hex
    environ = {"FLOWGAUGE_STORE": store_url, "MLFLOW_TRACKING_URI": uri}
    calls = kill_log_calls(experiment, step=step, environ=environ)
    os.environ.update(environ)
    return settle_all(experiment, calls, mlflow_url=mlflow.url, store_url=store_url)


def _say(store: str, state: str, aftermath: Aftermath) -> bool:
    counted = f"{aftermath.logs:.0f}"
    reasons = ", ".join(f"{name} {count:.0f}" for name, count in aftermath.failures.items())
    click.echo(
        _ROW.format(
            store,
            state,
            len(aftermath.calls),
            len(aftermath.early),
            len(aftermath.lost),
            len(aftermath.doubled),
            aftermath.unfinished,
            counted,
            reasons,
        )
    )
    return aftermath.is_well


if __name__ == "__main__":
    main()
