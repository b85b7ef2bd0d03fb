"""`make test-matrix`: run the cells one after the other, print what came of each, keep it."""

import subprocess
import sys
import time
from datetime import UTC, datetime

import click

from stack.matrix.cells import CELLS, Cell, UnknownCellError, choose
from stack.matrix.environment import CHECKOUT, InstallError, NotHereError, make
from stack.matrix.results import Row, replace
from stack.matrix.running import run, version_in

_FOLDER = CHECKOUT / ".run" / "matrix"
_ROW = "{:<18} {:<10} {:>5} {:>8}  {}"


@click.command()
@click.argument("only", default="")
def main(only: str) -> None:
    """Run the cells that ONLY names, by cell or by family, separated by commas; all without it."""
    try:
        cells = choose(only)
    except UnknownCellError as error:
        raise click.UsageError(str(error)) from None
    click.echo(_ROW.format("cell", "version", "tests", "time", "result"))
    _FOLDER.mkdir(parents=True, exist_ok=True)
    well = [_attempt(cell) for cell in cells]
    sys.exit(0 if all(well) else 1)


def _attempt(cell: Cell) -> bool:
    """Run *cell*, print its line and keep what it showed; return False if it failed."""
    try:
        environment = make(cell, _FOLDER / cell.name)
        exact = version_in(environment, cell.part)
        _check_that_it_is_meant(cell, exact)
    except NotHereError as error:
        _say(cell, f"not run: {error}")
        return True
    except InstallError as error:
        _say(cell, f"failed: {error}")
        return False
    log = _FOLDER / f"{cell.name}.log"
    began = time.monotonic()
    shown = run(cell, environment, log)
    seconds = time.monotonic() - began
    today = datetime.now(UTC).date()
    replace(Row.of(cell, exact, shown, today), [each.name for each in CELLS])
    subprocess.run([sys.executable, "scripts/compatibility_table.py"], cwd=CHECKOUT, check=True)
    result = "passed" if shown.succeeded else f"failed: {log.relative_to(CHECKOUT)}"
    _say(cell, result, exact, str(shown.passed), f"{seconds:.0f} s")
    return shown.succeeded


def _check_that_it_is_meant(cell: Cell, version: str) -> None:
    if not cell.covers(version):
        raise NotHereError(f"here it is {version}")
    same = [other.name for other in CELLS if other.part == cell.part and other.covers(version)]
    if cell.version == "newest" and same != [cell.name]:
        raise NotHereError(f"it is {version}, which {same[0]} runs")


def _say(cell: Cell, result: str, *ran: str) -> None:
    version, tests, seconds = ran or ("", "", "")
    click.echo(_ROW.format(cell.name, version, tests, seconds, result))


if __name__ == "__main__":
    main()
