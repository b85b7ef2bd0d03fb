"""How long a call holds its task at most, whatever is wrong, measured from outside the process.

    python -m benchmarks.budget [--budget SECONDS] [ROW...]

Each row is one trouble. Every call is given the same budget, in a process of its own for each kind
of call: the first call of the process, and the next ones. Prints the longest of them, and in
brackets, where that is less, the longest without the time for which others had the processor. What
a process takes to end after a call at its exit is added.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from stack.faults.troubles import TROUBLES, Parts
from stack.mlflow import mlflow_server

_WAYS = ("now", "later", "best_effort", "rate_limit")
_CALLS = 2
# The rate limit is not what is measured.
_ENVIRONMENT = """\
domains: {mlflow: mlflow.example.com}
rate_limits: {mlflow_api: {max_calls: 1000000, window_seconds: 1}}
"""
_ROW = "| {} | {} |"


@dataclass(frozen=True)
class _Row:
    what: str
    trouble: str
    manner: str = "alone"
    ways: Sequence[str] = _WAYS


_FOR_MLFLOW = ("now", "best_effort")
_FOR_STORE = ("now", "later", "rate_limit")
_OF_OURS = ("now", "later")
_ROWS = [
    _Row("nothing is wrong", "nothing"),
    _Row("MLflow accepts and never answers", "mlflow_silent", ways=_FOR_MLFLOW),
    _Row("MLflow sends a byte a second", "mlflow_dripping", ways=_FOR_MLFLOW),
    _Row("MLflow redirects without end", "mlflow_redirecting", ways=_FOR_MLFLOW),
    _Row("MLflow answers 6 GB", "mlflow_huge", ways=_FOR_MLFLOW),
    _Row("DNS does not answer, for MLflow", "no_names", ways=_FOR_MLFLOW),
    _Row("DNS does not answer, for the store", "store_without_names", ways=_FOR_STORE),
    _Row("Redis accepts and never answers", "redis_silent"),
    _Row("Redis takes 0.2 s for each request", "redis_slow", ways=_FOR_STORE),
    _Row("Redis by eight addresses, none answers", "eight_addresses", ways=_FOR_STORE),
    _Row("PostgreSQL accepts and never answers", "postgres_silent", ways=_FOR_STORE),
    _Row("PostgreSQL takes 0.2 s for each request", "postgres_slow", ways=_FOR_STORE),
    _Row("SQLite is locked", "sqlite_locked", ways=_FOR_STORE),
    _Row("SQLite, fsync takes 0.2 s", "disk_slow", ways=_FOR_STORE),
    _Row("SQLite, fsync takes 20 s", "disk_stalls", ways=_FOR_STORE),
    _Row("SQLite, fsync takes 20 s; MLflow silent", "disk_and_mlflow"),
    _Row("Airflow's API does not answer", "airflow_silent", ways=_FOR_STORE),
    _Row("Airflow, Redis, disk and MLflow at once", "all_at_once"),
    _Row("50 threads; MLflow silent", "mlflow_silent", "threads"),
    _Row("50 threads; Redis and MLflow silent", "store_and_mlflow", "threads"),
    _Row("in a coroutine; Redis and MLflow silent", "store_and_mlflow", "asyncio"),
    _Row("at the interpreter's exit; the same", "store_and_mlflow", "exit"),
    _Row("40 forked while others log; nothing wrong", "nothing", "forks", _OF_OURS),
    _Row("40 forked while others log; both silent", "store_and_mlflow", "forks", _OF_OURS),
]


@dataclass
class _Held:
    """What was seen of one process: its longest call, and by how many MB it grew.

    `undisturbed` is the longest but for the time for which others had the processor, `to_end` what
    the process took to end after its last call, where that is part of it.
    """

    seconds: float = 0.0
    undisturbed: float = 0.0
    megabytes: int = 0
    ended: float = 0.0
    to_end: float | None = None
    begun: dict[int, tuple[float, float]] = field(default_factory=dict)

    def note(self, line: str, at: float) -> None:
        """Take in a mark of the process's."""
        # MLflow prints too.
        match line.split():
            case ["begin", number, waited]:
                self.begun[int(number)] = at, float(waited)
            case ["end", number, waited]:
                self.ended = at
                began, before = self.begun.pop(int(number))
                self.seconds = max(self.seconds, at - began)
                self.undisturbed = max(self.undisturbed, at - began - (float(waited) - before))
            case ["memory", number, _]:
                self.megabytes = int(number)

    def __str__(self) -> str:
        """Return what the table has of it."""
        wall, own = f"{self.seconds:.1f} s", f"{self.undisturbed:.1f} s"
        end = "" if self.to_end is None else f" + {self.to_end:.1f} s"
        return f"{wall}{end}" if wall == own else f"{wall} ({own}){end}"


def _hold(parts: Parts, row: _Row, way: str, budget: float) -> _Held:
    held = _Held()
    with TROUBLES[row.trouble](parts) as around:
        task = [sys.executable, "-m", "stack.faults.held", way, row.manner, str(budget)]
        process = subprocess.Popen(
            [*around.behind, *task, str(_CALLS), *around.within],
            env={**os.environ, **parts.environ, **around.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout
        with process:
            for line in process.stdout:
                held.note(line, time.monotonic())
    if row.manner == "exit":
        held.to_end = time.monotonic() - held.ended
    if process.returncode or held.begun:
        raise SystemExit(f"{row.what}, {way}: ended with {process.returncode} in {held.begun}")
    return held


def _measure(parts: Parts, row: _Row, budget: float) -> str:
    cells = []
    for way in _WAYS:
        if way not in row.ways:
            cells.append("")
            continue
        held = _hold(parts, row, way, budget)
        memory = f", {held.megabytes} MB" if row.trouble == "mlflow_huge" else ""
        cells.append(f"{held}{memory}")
    return _ROW.format(row.what, " | ".join(cells))


@click.command(context_settings={"show_default": True})
@click.option("--budget", default=3.0, help="Seconds that each call is given.")
@click.argument("rows", nargs=-1)
def main(budget: float, rows: tuple[str, ...]) -> None:
    """Print the table, or those of its rows whose names contain one of ROWS."""
    click.echo(_ROW.format(f"budget {budget:g} s", " | ".join(_WAYS)))
    click.echo(_ROW.format("---", " | ".join(["--:"] * len(_WAYS))))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "budget.yaml").write_text(_ENVIRONMENT)
        os.environ.update(ENV="budget", FLOWGAUGE_ENVIRONMENTS=name)
        with mlflow_server(folder / "mlflow") as mlflow:
            for number, row in enumerate(_ROWS):
                if not rows or any(name in row.what for name in rows):
                    place = folder / str(number)
                    place.mkdir()
                    click.echo(_measure(Parts(mlflow.url, place), row, budget))


if __name__ == "__main__":
    main()
