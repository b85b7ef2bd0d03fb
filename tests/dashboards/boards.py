"""The committed dashboards, their panels and their queries."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql

ROOT = Path(__file__).parents[2]
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text())
    for path in (ROOT / "dashboards" / "json").glob("*.json")
}
_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+), (?P<label>\w+)\)")


@dataclass(frozen=True)
class Query:
    """One query and where it stands.

    It `may_be_empty` where having no data means that all is well, and the panel says so.
    """

    where: str
    expr: str
    legend: str = ""
    may_be_empty: bool = False

    def __str__(self) -> str:
        return self.where


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels that draw something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def panel_queries(board: dict[str, Any]) -> Iterator[Query]:
    """Yield every panel's and every annotation's query."""
    for panel in panels(board):
        for target in panel["targets"]:
            where = f"{board['uid']}: {panel['title']}, query {target['refId']}"
            says_so = "noValue" in panel["fieldConfig"]["defaults"]
            yield Query(where, target["expr"], target["legendFormat"], may_be_empty=says_so)
    for annotation in board["annotations"]["list"]:
        yield Query(
            f"{board['uid']}: annotation {annotation['name']}",
            annotation["expr"],
            may_be_empty=True,
        )


def variable_queries(board: dict[str, Any]) -> Iterator[Query]:
    """Yield the selector of every variable, under the label whose values it lists."""
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found = _LABEL_VALUES.fullmatch(variable["query"]["query"])
            assert found, variable
            where = f"{board['uid']}: variable {variable['name']}"
            yield Query(where, found["selector"], f"{{{{{found['label']}}}}}")


def all_queries() -> list[Query]:
    """Return every query of every dashboard."""
    return [
        query
        for board in BOARDS.values()
        for query in [*panel_queries(board), *variable_queries(board)]
    ]


def interpolate(expr: str, *, rate_interval: str = "1m", time_range: str = "1h") -> str:
    """Return *expr* as Grafana would ask it, with All chosen in every variable."""
    expr = re.sub(r"\$(environment|cluster|namespace)\b", ".*", expr)
    expr = expr.replace("$__rate_interval", rate_interval).replace("$__range", time_range)
    return re.sub(r"\$\w+", ".+", expr)


def nodes(expr: str) -> Iterator[tuple[promql.Expr, list[promql.Expr]]]:
    """Yield every node of an expression with its parents, the outermost first."""
    found: list[tuple[promql.Expr, list[promql.Expr]]] = []
    parents: list[promql.Expr] = []

    def enter(node: promql.Expr) -> None:
        found.append((node, [*parents]))
        parents.append(node)

    def leave(_node: promql.Expr) -> None:
        parents.pop()

    promql.walk(promql.parse(expr), enter, leave)
    yield from found


def selectors(expr: str) -> list[promql.VectorSelector]:
    """Return every selector of an expression."""
    return [node for node, _ in nodes(expr) if isinstance(node, promql.VectorSelector)]
