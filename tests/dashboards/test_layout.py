import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flowgauge.assets import asset
from flowgauge.rules.files import read_rules
from tests.dashboards.boards import BOARDS, panel_queries, panels

# What Grafana 12 draws; graph, singlestat, table-old and the like went with Angular.
DRAWN = {"heatmap", "row", "stat", "state-timeline", "table", "timeseries"}


# What goes along with a link to another dashboard.
_KEPT = "&".join(f"${{{name}:queryparam}}" for name in ("datasource", "environment", "cluster",
                                                        "namespace"))  # fmt: skip


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each dashboard in turn."""
    found: dict[str, Any] = BOARDS[request.param]
    return found


def test_only_panels_that_grafana_draws(board: dict[str, Any]) -> None:
    """No panel is of a type that today's Grafana has removed."""
    assert {panel["type"] for panel in board["panels"]} <= DRAWN


def test_grafana_migrates_nothing(board: dict[str, Any]) -> None:
    """Dashboard and panels say that they are current, so Grafana changes nothing on loading."""
    assert board["schemaVersion"] == 41
    assert {panel["pluginVersion"] for panel in panels(board)} == {"12.1.0"}


def test_no_query_asks_a_variable_that_is_not_there(board: dict[str, Any]) -> None:
    """What a query has after a dollar is a variable of the dashboard, or Grafana's own."""
    known = {variable["name"] for variable in board["templating"]["list"]}
    asked = {name for one in panel_queries(board) for name in re.findall(r"\$(\w+)", one.expr)}

    assert {name for name in asked if not name.startswith("__")} <= known


def test_ids_are_unique(board: dict[str, Any]) -> None:
    """Each panel has its own id, each query of a panel its own letter."""
    ids = [panel["id"] for panel in board["panels"]]
    letters = [[target["refId"] for target in panel["targets"]] for panel in panels(board)]

    assert len(set(ids)) == len(ids)
    assert all(len(set(each)) == len(each) and "" not in each for each in letters)


def test_panels_lie_side_by_side(board: dict[str, Any]) -> None:
    """Panels fill the 24 columns row by row, and none lies on another."""
    cells = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(set(cells)) == len(cells)
    assert {x for x, _ in cells} == set(range(24))


def test_the_first_row_is_six_numbers(board: dict[str, Any]) -> None:
    """What matters is at the top, in numbers that say themselves when there is no data."""
    first = [panel for panel in board["panels"] if panel["gridPos"]["y"] == 0]

    assert [panel["type"] for panel in first] == ["stat"] * 6
    assert all(panel["fieldConfig"]["defaults"]["noValue"] for panel in first)


def test_a_number_is_the_one_of_now(board: dict[str, Any]) -> None:
    """A stat asks for the value now: over a range it would show what a dead server last said."""
    stats = [panel for panel in panels(board) if panel["type"] == "stat"]

    assert all(target["instant"] for panel in stats for target in panel["targets"])


def test_thresholds_have_an_open_base(board: dict[str, Any]) -> None:
    """Every threshold list starts with a null, which grafanalib would write as a word."""
    steps = [panel["fieldConfig"]["defaults"]["thresholds"]["steps"] for panel in panels(board)]

    assert all(each[0]["value"] is None for each in steps)
    assert all(isinstance(step["value"], int | float) for each in steps for step in each[1:])


def test_lines_have_legends(board: dict[str, Any]) -> None:
    """Every panel of lines names them, and hovering shows all of them."""
    lines = [panel for panel in panels(board) if panel["type"] == "timeseries"]

    assert all(panel["options"]["legend"]["showLegend"] for panel in lines)
    assert all(panel["options"]["tooltip"]["mode"] == "multi" for panel in lines)


def test_no_key_of_old_grafanas(board: dict[str, Any]) -> None:
    """Nothing is left of what grafanalib writes for Grafanas before 8."""
    old = {"rows", "sharedCrosshair", "hideControls", "style", "gnetId", "__inputs"}
    old_in_panels = {"span", "editable", "error", "height", "cards", "dataFormat", "fontSize"}

    assert not old & board.keys()
    assert not any(old_in_panels & panel.keys() for panel in board["panels"])


_SECONDS = {"m": 60}


@pytest.mark.parametrize(
    ("panel", "alert"),
    [
        ("Error ratio", "MLflowHighErrorRate"),
        ("Latency", "MLflowHighLatency"),
        ("Pool use by worker", "MLflowPostgresConnectionPoolExhausted"),
        ("Failing requests by DAG", "MLflowDagRequestsFailing"),
        ("Hits in 5 min", "MLflowRateLimitSaturated"),
        ("Age of the oldest payload", "MLflowOutboxBacklog"),
        ("Burn over 5m and 1h", "MLflowErrorBudgetBurn1h"),
    ],
)
def test_lines_are_drawn_where_alerts_fire(panel: str, alert: str) -> None:
    """A panel's line is the very number that its alert compares with, or as many minutes."""
    drawn = [
        each["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        * _SECONDS.get(each["fieldConfig"]["defaults"]["unit"], 1)
        for board in BOARDS.values()
        for each in panels(board)
        if each["title"] == panel
    ]
    (expr,) = [rule.expr for rule in _alerts() if rule.alert == alert]

    assert drawn
    assert set(drawn) == {float(re.split(r"[<>=]+", expr)[-1])}


def test_latency_leads_to_who_uses_mlflow() -> None:
    """From the server's latency it is one click to the DAGs, data source and time going along."""
    links = {
        panel["title"]: [link["url"] for link in panel["links"]]
        for panel in panels(BOARDS["flowgauge-server"])
        if "links" in panel
    }
    there = [f"/d/flowgauge-dags?{_KEPT}&${{__url_time_range}}"]
    assert links == {"Latency": there, "p95 by route": there}


def _alerts() -> list[Any]:
    sources = read_rules([f"{asset('alerts')}/*.yaml"])
    return [rule for source in sources for rule in source.file.rules if rule.alert]


@pytest.mark.parametrize("alert", _alerts(), ids=lambda rule: str(rule.alert))
def test_an_alerts_link_leads_to_a_dashboard_that_understands_it(alert: Any) -> None:
    """An alert's dashboard_url names a dashboard of ours and only variables that it has.

    Among these are the alert's environment, cluster and namespace; the watchdog is of all.
    """
    url = urlsplit(alert.annotations["dashboard_url"])
    board = BOARDS[url.path.removeprefix("/d/")]
    variables = {f"var-{each['name']}" for each in board["templating"]["list"]}

    asked = parse_qs(url.query).keys()

    assert asked <= variables
    if alert.alert != "FlowgaugeWatchdog":
        assert asked >= {"var-environment", "var-cluster", "var-namespace"}
