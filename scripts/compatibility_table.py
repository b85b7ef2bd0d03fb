"""Write what docs/compatibility.json says into docs/compatibility.md and README.md.

python scripts/compatibility_table.py            writes it
python scripts/compatibility_table.py --check    fails if a page is not current
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_CHECKOUT = Path(__file__).parent.parent
_PARTS = {
    "mlflow": "MLflow",
    "workspaces": "MLflow, its workspaces",
    "airflow": "Airflow",
    "python": "Python, with the wheel",
    "prometheus": "Prometheus",
    "alertmanager": "Alertmanager",
    "redis": "Redis",
    "valkey": "Valkey",
    "postgresql": "PostgreSQL, MLflow's and the store's",
    "mariadb": "MariaDB, MLflow's",
    "floor": "Python packages, the oldest allowed",
}
_Row = Mapping[str, Any]


def main() -> None:
    """Bring both pages up to date, or tell whether they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail if outdated")
    check = parser.parse_args().check
    rows = json.loads((_CHECKOUT / "docs" / "compatibility.json").read_text(encoding="utf-8"))
    for page, table in (("docs/compatibility.md", _whole(rows)), ("README.md", _short(rows))):
        _write(page, table, check=check)


def _write(page: str, table: str, *, check: bool) -> None:
    between = re.compile(
        r"(<!-- compatibility:begin -->\n).*(<!-- compatibility:end -->)", re.DOTALL
    )
    file = _CHECKOUT / page
    before = file.read_text(encoding="utf-8")
    after, found = between.subn(lambda match: match[1] + table + match[2], before)
    if not found:
        sys.exit(f"{page} lacks the markers <!-- compatibility:begin --> and :end -->")
    if check and after != before:
        sys.exit(f"The versions in {page} are not current: run scripts/compatibility_table.py")
    file.write_text(after, encoding="utf-8")


def _whole(rows: Sequence[_Row]) -> str:
    """Return a line a cell: what ran on which version, when, and what came of it."""
    return _table(
        ("program", "version", "what ran", "tests passed", "result", "on"),
        [
            (
                _PARTS[row["part"]],
                row["version"],
                ", ".join(row["ran"]),
                str(row["tests"]),
                row["result"],
                row["date"],
            )
            for row in rows
        ],
    )


def _short(rows: Sequence[_Row]) -> str:
    """Return a line for each part and what of it passed on the same versions."""
    versions: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["result"] == "passed" and row["part"] != "floor":
            for suite in row["ran"]:
                versions.setdefault((row["part"], suite), []).append(row["version"])
    same: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (part, suite), those in versions.items():
        same.setdefault((part, tuple(those)), []).append(suite)
    return _table(
        ("program", "what ran and passed", "on"),
        [
            (_PARTS[part], ", ".join(suites), ", ".join(those))
            for (part, those), suites in same.items()
        ],
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
