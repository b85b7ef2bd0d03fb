"""The 17 rules of grafana/dashboard-linter, which itself is a Go program without a package.

Read from https://github.com/grafana/dashboard-linter/tree/main/lint. Where the original skips a
panel type of ours we do not, where it forgives an error we do.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import promql_parser as promql
import yaml

from tests.dashboards.boards import ROOT, interpolate, nodes, panels, selectors

Json = dict[str, Any]
Finding = tuple[str, str]
"""The panel (or "") and what is wrong."""

# Any range that no dashboard would write, so that it is known again after parsing.
_RATE_INTERVAL = "7777s"

# https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
_UNITS = {
    "none",
    "short",
    "percentunit",
    "percent",
    "bytes",
    "Bps",
    "s",
    "m",
    "reqps",
    "ops",
    "opm",
    "rpm",
}


def _variables(board: Json, kind: str) -> list[Json]:
    return [each for each in board["templating"]["list"] if each["type"] == kind]


def _template_datasource(board: Json) -> Iterator[Finding]:
    found = [(each["name"], each["label"]) for each in _variables(board, "datasource")]
    if found != [("datasource", "Data source")]:
        yield "", f"data source variables are {found}"


def _template_required(board: Json, name: str) -> Iterator[Finding]:
    wanted = {
        "label": name.title(),
        "multi": True,
        "allValue": ".+",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
    }
    found = [each for each in _variables(board, "query") if each["name"] == name]
    if len(found) != 1:
        yield "", f"{len(found)} variables {name}"
    elif wrong := {key: found[0][key] for key in wanted if found[0][key] != wanted[key]}:
        yield "", f"variable {name} has {wrong}"


def _template_job(board: Json) -> Iterator[Finding]:
    yield from _template_required(board, "job")


def _template_instance(board: Json) -> Iterator[Finding]:
    yield from _template_required(board, "instance")


def _template_label_promql(board: Json) -> Iterator[Finding]:
    for variable in _variables(board, "query"):
        call = re.fullmatch(r"label_values\((.+), \w+\)", variable["query"]["query"])
        if call is None or _error(call[1]):
            yield "", f"variable {variable['name']} asks {variable['query']['query']}"


def _template_on_time_change_reload(board: Json) -> Iterator[Finding]:
    for variable in _variables(board, "query"):
        if variable["refresh"] != 2:
            yield "", f"variable {variable['name']} refreshes on {variable['refresh']}"


def _panel_datasource(board: Json) -> Iterator[Finding]:
    for panel in panels(board):
        if panel["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
            yield panel["title"], f"data source {panel['datasource']}"


def _panel_title_description(board: Json) -> Iterator[Finding]:
    for panel in panels(board):
        if not panel["title"] or not panel["description"]:
            yield panel["title"], "no title or description"


def _panel_units(board: Json) -> Iterator[Finding]:
    for panel in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        unit = defaults.get("unit") or panel["options"].get("yAxis", {}).get("unit")
        overridden = [
            each["value"]
            for override in panel["fieldConfig"]["overrides"]
            for each in override["properties"]
            if each["id"] == "unit"
        ]
        units = {*overridden} or {unit}
        if not units <= _UNITS and not defaults.get("mappings"):
            yield panel["title"], f"unit {units}"


def _panel_no_targets(board: Json) -> Iterator[Finding]:
    for panel in panels(board):
        if not panel["targets"]:
            yield panel["title"], "no query"


def _targets(board: Json) -> Iterator[tuple[str, str]]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def _error(expr: str) -> str:
    try:
        promql.parse(interpolate(expr))
    except ValueError as error:
        return str(error)
    return ""


def _target_promql(board: Json) -> Iterator[Finding]:
    for title, expr in _targets(board):
        if error := _error(expr):
            yield title, error


def _target_rate_interval(board: Json) -> Iterator[Finding]:
    for title, expr in _targets(board):
        parsed = nodes(interpolate(expr, rate_interval=_RATE_INTERVAL))
        for node, parents in parsed:
            if not isinstance(node, promql.MatrixSelector):
                continue
            own = node.range != promql.parse_duration(_RATE_INTERVAL)
            if own and _function(parents[-1]) in {"rate", "irate"}:
                yield title, f"{node.prettify()} instead of $__rate_interval"


def _target_matcher(board: Json, label: str) -> Iterator[Finding]:
    for title, expr in _targets(board):
        # Kept apart from the number that interpolation would put in its place.
        marked = interpolate(expr.replace(f"${label}", f"chosen_{label}"))
        for selector in selectors(marked):
            matchers = [(each.name, each.op, each.value) for each in selector.matchers.matchers]
            if (label, promql.MatchOp.Re, f"chosen_{label}") not in matchers:
                yield title, f"{selector.name} without {label}"


def _target_job(board: Json) -> Iterator[Finding]:
    yield from _target_matcher(board, "job")


def _target_instance(board: Json) -> Iterator[Finding]:
    yield from _target_matcher(board, "instance")


def _target_counter_agg(board: Json) -> Iterator[Finding]:
    for title, expr in _targets(board):
        for node, parents in nodes(interpolate(expr)):
            counts = isinstance(node, promql.VectorSelector) and (node.name or "").endswith(
                "_total"
            )
            if counts and (
                len(parents) < 2 or _function(parents[-2]) not in {"rate", "irate", "increase"}
            ):
                yield title, f"{node.prettify()} without rate or increase"


def _function(node: promql.Expr) -> str:
    return node.func.name if isinstance(node, promql.Call) else ""


def _target_logql(board: Json) -> Iterator[Finding]:
    for panel in panels(board):
        if any(target["datasource"]["type"] != "prometheus" for target in panel["targets"]):
            yield panel["title"], "asks something else than Prometheus"


def _uneditable(board: Json) -> Iterator[Finding]:
    if board["editable"]:
        yield "", "editable"


RULES: dict[str, Callable[[Json], Iterator[Finding]]] = {
    "template-datasource-rule": _template_datasource,
    "template-job-rule": _template_job,
    "template-instance-rule": _template_instance,
    "template-label-promql-rule": _template_label_promql,
    "template-on-time-change-reload-rule": _template_on_time_change_reload,
    "panel-datasource-rule": _panel_datasource,
    "panel-title-description-rule": _panel_title_description,
    "panel-units-rule": _panel_units,
    "panel-no-targets-rule": _panel_no_targets,
    # Two rules on LogQL: we ask no logs.
    "target-logql-rule": _target_logql,
    "target-logql-auto-rule": _target_logql,
    "target-promql-rule": _target_promql,
    "target-rate-interval-rule": _target_rate_interval,
    "target-job-rule": _target_job,
    "target-instance-rule": _target_instance,
    "target-counter-agg-rule": _target_counter_agg,
    "uneditable-dashboard": _uneditable,
}


def exclusions() -> dict[str, set[str]]:
    """Return the panels that each rule passes over, out of dashboards/.lint."""
    rules = yaml.safe_load((ROOT / "dashboards" / ".lint").read_text())["exclusions"]
    return {
        name: {entry["panel"] for entry in excluded["entries"]} for name, excluded in rules.items()
    }
