"""docs/compatibility.json: what each cell showed when it last ran."""

import datetime as dt
import importlib.metadata
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from stack.matrix.cells import Cell
from stack.matrix.running import Shown

__all__ = ["RESULTS", "Row", "read", "replace"]

RESULTS = Path(__file__).parents[2] / "docs" / "compatibility.json"


@dataclass(frozen=True)
class Row:
    """One cell's run: the exact version of the part, what ran, and what came of it."""

    cell: str
    part: str
    version: str
    ran: tuple[str, ...]
    tests: int
    date: str
    result: str
    flowgauge: str

    @classmethod
    def of(cls, cell: Cell, version: str, shown: Shown, day: dt.date) -> Self:
        """Return the row of a *cell* that ran on *version* that *day*."""
        return cls(
            cell=cell.name,
            part=cell.part,
            version=version,
            ran=shown.ran,
            tests=shown.passed,
            date=day.isoformat(),
            result="passed" if shown.succeeded else "failed",
            flowgauge=importlib.metadata.version("flowgauge"),
        )


def read(file: Path = RESULTS) -> list[Row]:
    """Return the rows of *file*; none if it is not there."""
    if not file.exists():
        return []
    return [Row(**{**row, "ran": tuple(row["ran"])}) for row in json.loads(file.read_text())]


def replace(row: Row, order: Iterable[str], file: Path = RESULTS) -> None:
    """Write *row* in place of its cell's last one; rows stand in the *order* of the cells' names.

    Rows of cells that are no longer declared are left out.
    """
    rows = {known.cell: known for known in read(file)} | {row.cell: row}
    kept = [asdict(rows[cell]) for cell in order if cell in rows]
    file.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
