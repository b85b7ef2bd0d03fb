"""`make faults`: kill calls everywhere, on every store, and print what came of it."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import click
import psycopg
from mlflow import MlflowClient

from stack.faults.dying import dying
from stack.faults.killed_calls import CALLS, PLACES
from stack.faults.kills import Aftermath, kill_calls, settle_all
from stack.mlflow import mlflow_server
from stack.postgres import postgres
from stack.process import LOOPBACK
from stack.redis import redis_server

_HEAD = (
    "| store | call | MLflow | killed at | calls | kills | early | lost | doubled | left open "
    "| counted | deferred | `killed` |\n|---|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)
_ROW = "| {} | `{}` | {} | {} | {} | {} | {} | {} | {} | {} | {} of {} | {} of {} | {} of {} |"
_NOBODY = f"http://{LOOPBACK}:9"
# The rate limit is not what is tried here.
_NO_LIMIT = '{"mlflow_api": {"max_calls": 1000000, "window_seconds": 1}}'
# No payload is sent by another while there are calls to be killed, all of them for hours.
_CALL_SECONDS, _OF_ALL = 900.0, 10
# Each waits half of its time for MLflow.
_WORKERS = 3

# A call for later asks no MLflow; a flush that finds none sends nothing.
_STATES = {"now": ("up", "down", "dying"), "later": ("up",), "flush": ("up", "dying")}

NewStore = Callable[[], str]


@contextmanager
def _sqlite(folder: Path) -> Iterator[NewStore]:
    yield lambda: f"sqlite:///{folder}/{uuid4().hex}.db"


@contextmanager
def _redis(folder: Path) -> Iterator[NewStore]:
    with redis_server(folder, "--databases", "64") as url:
        numbers = count()
        yield lambda: f"{url.rpartition('/')[0]}/{next(numbers)}"


@contextmanager
def _postgresql(folder: Path) -> Iterator[NewStore]:
    with postgres(folder) as server:

        def new() -> str:
            name = f"n{uuid4().hex}"
            with psycopg.connect(server.url, autocommit=True) as client:
                client.execute(f"CREATE DATABASE {name}")
            return urlsplit(server.url)._replace(path=f"/{name}").geturl()

        yield new


_STORES: dict[str, Callable[[Path], AbstractContextManager[NewStore]]] = {
    "sqlite": _sqlite,
    "redis": _redis,
    "postgresql": _postgresql,
}


@dataclass(frozen=True)
class _Row:
    """What is killed, where, and what it is killed beside."""

    store: str
    call: str
    mlflow: str
    places: str


def _rows(stores: Sequence[str], calls: Sequence[str], places: Sequence[str]) -> Iterator[_Row]:
    for store in stores:
        for where in places:
            for call in calls:
                # What is loaded is the same whoever answers, and for all that sends.
                for state in _STATES[call] if where != "imports" else ("up",):
                    if (call, where) != ("flush", "imports"):
                        yield _Row(store, call, state, where)


@click.command(context_settings={"show_default": True})
@click.option("--step", default=1, help="Kill at each of so many places.")
@click.option(
    "--all", "every", is_flag=True, help="Not only the first and the last time: for hours."
)
@click.option("--store", "stores", multiple=True, type=click.Choice(list(_STORES)), help="All.")
@click.option("--call", "calls", multiple=True, type=click.Choice(CALLS), help="All.")
@click.option("--at", "places", multiple=True, type=click.Choice(PLACES), help="All.")
def main(
    step: int,
    every: bool,
    stores: tuple[str, ...],
    calls: tuple[str, ...],
    places: tuple[str, ...],
) -> None:
    """Kill log calls, and flushes, at each of their lines and system calls.

    A line that is gone through again is the same one, and so is a system call made there: they are
    killed there the first time and the last. Of a module that is loaded, so are its first line and
    its last.

    `early` are those killed before anything was written down. What was written down must be one
    finished run, and counted as one.
    """
    rows = list(_rows(stores or list(_STORES), calls or CALLS, places or PLACES))
    with (
        tempfile.TemporaryDirectory() as name,
        ExitStack() as parts,
        ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")) as workers,
    ):
        folder = Path(name)
        os.environ.update(
            AIRFLOW_HOME=name,
            FLOWGAUGE_ENVIRONMENTS=name,
            FLOWGAUGE_RATE_LIMITS=_NO_LIMIT,
            MLFLOW_TRACKING_URI=_NOBODY,
        )
        mlflow = parts.enter_context(mlflow_server(folder / "mlflow", workers=2)).url
        port = urlsplit(mlflow).port
        assert port
        states = {
            "up": [mlflow],
            "down": [_NOBODY],
            "dying": parts.enter_context(dying(port)),
        }
        new = {
            store: parts.enter_context(_STORES[store](folder / store))
            for store in dict.fromkeys(row.store for row in rows)
        }
        urls = {row: new[row.store]() for row in rows}
        experiments = {row: uuid4().hex for row in rows}
        _make_experiments(experiments.values(), mlflow, folder / "mlflow" / "mlflow.db")
        killed = {
            row: workers.submit(
                kill_calls,
                experiments[row],
                call=row.call,
                places=row.places,
                step=step,
                seconds=_CALL_SECONDS * (_OF_ALL if every else 1),
                every=every,
                from_request=row.mlflow != "up",
                environ={
                    "FLOWGAUGE_STORE": urls[row],
                    "MLFLOW_TRACKING_URI": " ".join(states[row.mlflow]),
                },
            )
            for row in rows
        }
        settled = {
            row: workers.submit(settle_all, each.result(), mlflow_url=mlflow, store_url=urls[row])
            for row, each in killed.items()
        }
        click.echo(_HEAD)
        unwell = [row for row, each in settled.items() if not _say(row, each)]
    raise SystemExit(1 if unwell else 0)


def _make_experiments(names: Iterable[str], mlflow_url: str, database: Path) -> None:
    """Have experiments that are there, as most are, for longer than their payloads."""
    client = MlflowClient(mlflow_url)
    for name in names:
        client.create_experiment(name)
    with closing(sqlite3.connect(database)) as db:
        db.execute("UPDATE experiments SET creation_time = 0")
        db.commit()


def _say(row: _Row, settled: "Future[Aftermath]") -> bool:
    aftermath = settled.result()
    killed = aftermath.killed
    click.echo(
        _ROW.format(
            row.store,
            row.call,
            row.mlflow,
            row.places,
            len(killed.calls),
            killed.kills,
            len(aftermath.early),
            len(aftermath.lost),
            len(aftermath.doubled),
            aftermath.unfinished,
            f"{aftermath.logs:g}",
            aftermath.arrived,
            f"{aftermath.deferred:g}",
            killed.deferred,
            f"{aftermath.failures.get('killed', 0):g}",
            killed.sending,
        )
    )
    if not aftermath.is_well:
        said = [*aftermath.miscounted, f"lost {aftermath.lost}", f"doubled {aftermath.doubled}"]
        click.echo("; ".join(said), err=True)
    return aftermath.is_well


if __name__ == "__main__":
    main()
