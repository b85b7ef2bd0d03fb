"""Write the table of docs/incidents.md: the catalogue, and what docs/incidents.txt says came of it.

python -m stack.incidents.page            writes it
python -m stack.incidents.page --check    fails if it is not current

docs/incidents.txt is what `make incidents` printed: one run, or one after the other.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from stack.incidents.catalogue import INCIDENTS
from stack.incidents.incident import Incident

__all__ = ["main", "table"]

_DOCS = Path(__file__).parents[2] / "docs"
_BETWEEN = re.compile(r"(<!-- incidents:begin -->\n).*(<!-- incidents:end -->)", re.DOTALL)
_RUN = re.compile(r"^Prometheus (\S+), Alertmanager \S+\n", re.MULTILINE)
_ROW = re.compile(
    r"^(?P<name>\w+) +(?P<alert>\w+) +(?P<fires>\d+ s|never)? +(?P<ends>\d+ s|never)? +"
    r"(?P<false>\S.*)$",
    re.MULTILINE,
)


def main() -> None:
    """Bring docs/incidents.md up to date, or tell whether it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail if outdated")
    check = parser.parse_args().check
    page, printed = _DOCS / "incidents.md", _DOCS / "incidents.txt"
    figures = table(printed.read_text(encoding="utf-8") if printed.exists() else "")
    before = page.read_text(encoding="utf-8")
    after = _BETWEEN.sub(lambda markers: markers[1] + figures + markers[2], before)
    if not check:
        page.write_text(after, encoding="utf-8")
    elif after != before:
        sys.exit("docs/incidents.md is not current: run python -m stack.incidents.page")


def table(printed: str) -> str:
    """Return a line for every incident, and a column for each Prometheus that was *printed*."""
    runs = _runs(printed)
    head = ["incident", "what is done", "alert", "may come beside it"]
    head += [f"Prometheus {version}" for version in runs]
    rows = [
        [*_told(incident), *(came.get(incident.name, "") for came in runs.values())]
        for incident in INCIDENTS.values()
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _told(incident: Incident) -> Iterator[str]:
    yield f"`{incident.name}`"
    yield " ".join((incident.happening.__doc__ or "").partition("\n\n")[0].split())
    yield _link(incident.alert) if incident.alert else "none"
    yield ", ".join(_link(name) for name in [*incident.before, *incident.companions])


def _link(alert: str) -> str:
    name, _, environment = alert.partition(" ")
    return f"[{name}](../runbooks/{name}.md) {environment}".strip()


def _runs(printed: str) -> Mapping[str, Mapping[str, str]]:
    """Return what came of each incident, by the version of Prometheus; a later run counts."""
    runs: dict[str, dict[str, str]] = {}
    _, *parts = _RUN.split(printed)
    for version, rows in zip(parts[::2], parts[1::2], strict=True):
        came = {row["name"]: _came(row) for row in _ROW.finditer(rows)}
        runs[version] = runs.get(version, {}) | came
    return runs


def _came(row: re.Match[str]) -> str:
    came = f"{row['fires']}, {row['ends']}" if row["fires"] else "none"
    return came if row["false"] == "none" else f"{came}; and {row['false']}"


if __name__ == "__main__":
    main()
