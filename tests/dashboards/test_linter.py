import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboards.boards import BOARDS, panels
from tests.dashboards.linter import RULES, exclusions

Json = dict[str, Any]


@pytest.mark.parametrize("uid", BOARDS)
@pytest.mark.parametrize("rule", RULES)
def test_dashboard_keeps_the_linters_rules(rule: str, uid: str) -> None:
    """Every dashboard keeps all rules of grafana/dashboard-linter, but for what .lint explains."""
    excluded = exclusions().get(rule, set())

    assert [found for found in RULES[rule](BOARDS[uid]) if found[0] not in excluded] == []


@pytest.mark.parametrize("rule", exclusions())
def test_no_exclusion_is_stale(rule: str) -> None:
    """Every panel that .lint passes over would break the rule; none is excused in reserve."""
    breaking = {title for board in BOARDS.values() for title, _ in RULES[rule](board)}

    assert exclusions()[rule] <= breaking


def _set(path: str, value: object) -> Callable[[Json], None]:
    """Return what sets a path like `panel.targets.0.expr` of a dashboard's first Requests panel."""

    def apply(board: Json) -> None:
        *keys, last = path.split(".")
        node: Any = {
            "board": board,
            "panel": next(each for each in panels(board) if each["title"] == "Requests by status"),
            "variable": {each["name"]: each for each in board["templating"]["list"]},
        }
        for key in keys:
            node = node[int(key)] if isinstance(node, list) else node[key]
        node[last] = value

    return apply


_EXPR = "panel.targets.0.expr"
_CHOSEN = 'job=~"$job",instance=~"$instance"'
_BREAKS = [
    ("template-datasource-rule", _set("variable.datasource.label", "Prometheus")),
    ("template-job-rule", _set("variable.job.allValue", ".*")),
    ("template-instance-rule", _set("variable.instance.multi", value=False)),
    ("template-label-promql-rule", _set("variable.job.query.query", "label_values(up{, job)")),
    ("template-on-time-change-reload-rule", _set("variable.job.refresh", 1)),
    ("panel-datasource-rule", _set("panel.datasource.uid", "prometheus")),
    ("panel-title-description-rule", _set("panel.description", "")),
    ("panel-units-rule", _set("panel.fieldConfig.defaults.unit", "requests")),
    ("panel-no-targets-rule", _set("panel.targets", [])),
    ("target-logql-rule", _set("panel.targets.0.datasource", {"type": "loki", "uid": "x"})),
    ("target-logql-auto-rule", _set("panel.targets.0.datasource", {"type": "loki", "uid": "x"})),
    ("target-promql-rule", _set(_EXPR, "rte(up[1m])")),
    ("target-rate-interval-rule", _set(_EXPR, f"rate(x_total{{{_CHOSEN}}}[5m])")),
    ("target-job-rule", _set(_EXPR, 'up{job="$job",instance=~"$instance"}')),
    (
        "target-instance-rule",
        _set(_EXPR, 'up{job=~"$job"} / up{job=~"$job",instance=~"$instance"}'),
    ),
    ("target-counter-agg-rule", _set(_EXPR, f"sum(x_total{{{_CHOSEN}}})")),
    ("uneditable-dashboard", _set("board.editable", value=True)),
]


@pytest.mark.parametrize(("rule", "break_it"), _BREAKS, ids=[rule for rule, _ in _BREAKS])
def test_rule_sees_a_dashboard_that_breaks_it(rule: str, break_it: Callable[[Json], None]) -> None:
    """Each rule finds its own defect, so that its silence means something."""
    board = copy.deepcopy(BOARDS["flowgauge-server"])
    before = len(list(RULES[rule](board)))
    break_it(board)

    assert len(list(RULES[rule](board))) > before


def test_every_rule_is_broken_once() -> None:
    """No rule is without a dashboard that breaks it."""
    assert [rule for rule, _ in _BREAKS] == list(RULES)
