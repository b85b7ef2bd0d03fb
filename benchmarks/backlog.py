"""What 100,000 payloads that wait cost those who use the store, beside ten.

    python -m benchmarks.backlog [--only STEP]... [sqlite] [redis] [postgresql]

On each engine: `flowgauge outbox list`, a page of the exporter, a log call for later in a process
that has made one, and a claim. Both backlogs are made anew and measured in turn, so that what else
the machine does hits both alike. Prints the medians, and what the list says of when it is empty.
"""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import click
import httpx

from benchmarks.store_scale import postgres_outbox, redis_outbox, sqlite_outbox
from flowgauge.airflow import log_with_mlflow
from flowgauge.store import Lease, Store, open_store
from stack.exporter import exporter
from stack.postgres import postgres
from stack.process import LOOPBACK, python_tool
from stack.redis import redis_server

__all__ = ["ENGINES", "Fill", "listed"]

_FEW, _MANY, _SIZE = 10, 100_000, 1000
_ROUNDS = 3
_TIMES = {"list": 3, "scrape": 5, "log call": 100, "claim": 100}
_ROW = "| {} | {} | {} | {} | {:.2f} |"

Fill = Callable[[str, int, str], None]
"""Lets the outbox at a URL hold so many entries of a body."""


@contextmanager
def _sqlite(folder: Path) -> Iterator[tuple[str, Fill]]:
    yield f"sqlite:///{folder}/store.db", sqlite_outbox


@contextmanager
def _redis(folder: Path) -> Iterator[tuple[str, Fill]]:
    with redis_server(folder / "redis") as url:
        yield url, redis_outbox


@contextmanager
def _postgresql(folder: Path) -> Iterator[tuple[str, Fill]]:
    with postgres(folder / "postgres") as server:
        yield server.url, postgres_outbox


ENGINES = {"sqlite": _sqlite, "redis": _redis, "postgresql": _postgresql}
"""What runs each, and fills its outbox."""


def listed() -> str:
    """Return what `flowgauge outbox list` says."""
    command = [python_tool("flowgauge"), "outbox", "list", "--limit", str(_FEW)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _claim(store: Store) -> None:
    for entry in store.outbox.claim(Lease("me", 60), 1):
        store.outbox.release(entry.entry_id, "me", "unreachable")


def _timed(times: int, step: Callable[[], object]) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        step()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _measure(
    folder: Path, url: str, fill: Fill, only: Collection[str]
) -> tuple[Mapping[int, Mapping[str, float]], str]:
    os.environ["FLOWGAUGE_STORE"] = url
    seen: dict[int, dict[str, list[float]]] = {
        number: {name: [] for name in only} for number in (_FEW, _MANY)
    }
    with (
        closing(open_store(url, timeout_seconds=60)) as store,
        exporter(folder / "exporter", mlflow_uri=f"http://{LOOPBACK}:1", store=url) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        store.init()
        steps: Mapping[str, Callable[[], object]] = {
            "list": listed,
            "scrape": lambda: client.get("/metrics").raise_for_status(),
            "log call": lambda: log_with_mlflow({"rows": 1}, delivery="later"),
            "claim": lambda: _claim(store),
        }
        for _ in range(_ROUNDS):
            for number, taken in seen.items():
                fill(url, number, "x" * _SIZE)
                for name in only:
                    steps[name]()
                    taken[name].append(_timed(_TIMES[name], steps[name]))
        outlook = next(line for line in listed().splitlines() if " wait; " in line)
    medians = {
        number: {name: statistics.median(each) for name, each in taken.items()}
        for number, taken in seen.items()
    }
    return medians, outlook


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(_TIMES)), help="Measure this alone.")
@click.argument("engines", nargs=-1)
def main(only: tuple[str, ...], engines: tuple[str, ...]) -> None:
    """Print the table of ENGINES, or of all."""
    for name in engines or ENGINES:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            folder.chmod(0o755)
            os.environ["AIRFLOW_HOME"] = place
            with ENGINES[name](folder) as (url, fill):
                medians, outlook = _measure(folder, url, fill, only or tuple(_TIMES))
        for step in medians[_FEW]:
            few, many = medians[_FEW][step] * 1e3, medians[_MANY][step] * 1e3
            click.echo(_ROW.format(name, step, f"{few:.1f} ms", f"{many:.1f} ms", many / few))
        click.echo(outlook)


if __name__ == "__main__":
    main()
