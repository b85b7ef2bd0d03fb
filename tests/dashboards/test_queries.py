import re
import subprocess
from functools import cache
from pathlib import Path

import promql_parser as promql
import pytest
import yaml

from dashboards.promql import buckets, increase
from flowgauge.assets import asset
from flowgauge.metrics import (
    DAG_LOG_DURATION,
    DAG_LOGS,
    EXPORTER_METRICS,
    MLFLOW_METRICS,
    SERVER_METRICS,
)
from stack.history import SCRAPE_SECONDS, history
from tests.dashboards.answers import unanswered
from tests.dashboards.boards import (
    BOARDS,
    Query,
    all_queries,
    interpolate,
    nodes,
    panel_queries,
    selectors,
)

# Prometheus adds these to every series; pod, where it scrapes Kubernetes.
_TARGET_LABELS = {"job", "instance", "pod"}
# What one system is known by.
_SYSTEM = ("environment", "cluster", "namespace")
_PROMETHEUS_OWN = {"up", "ALERTS", "ALERTS_FOR_STATE"}


@cache
def _recorded() -> set[str]:
    return {
        rule["record"]
        for path in asset("alerts").glob("*.yaml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if "record" in rule
    }


@cache
def _exported() -> dict[str, set[str]]:
    """Return the labels of every series that our code exports."""
    return {
        series: {*metric.labels, *({"le"} if series.endswith("_bucket") else set())}
        for metric in (*SERVER_METRICS, *MLFLOW_METRICS, *EXPORTER_METRICS)
        for series in metric.series
    }


def test_every_query_parses(tmp_path: Path) -> None:
    """Prometheus' own parser accepts every query of every panel, annotation and variable."""
    rules = [
        {"record": f"query:{index}", "expr": interpolate(query.expr)}
        for index, query in enumerate(all_queries())
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))

    checked = subprocess.run(
        ["promtool", "check", "rules", "--lint=none", path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


@pytest.mark.parametrize("query", all_queries(), ids=str)
def test_query_names_only_series_that_exist(query: Query) -> None:
    """A query asks for metrics of our code and series of our rules, never for anything else."""
    known = _exported().keys() | _recorded() | _PROMETHEUS_OWN

    assert _named(query) <= known


def _named(query: Query) -> set[str]:
    return {name for selector in selectors(interpolate(query.expr)) for name in _names(selector)}


def _names(selector: promql.VectorSelector) -> list[str]:
    if selector.name:
        return [selector.name]
    alternatives = [each for each in selector.matchers.matchers if each.name == "__name__"]
    return alternatives[0].value.split("|")


def _of_our_metrics() -> list[Query]:
    """Return the queries of metrics alone; rules choose the labels of what they record."""
    exported = _exported().keys() | {"up"}
    return [query for query in all_queries() if _named(query) <= exported]


@pytest.mark.parametrize("query", _of_our_metrics(), ids=str)
def test_query_names_only_labels_that_exist(query: Query) -> None:
    """A label that a query matches, groups by or shows is one of the metrics it asks for."""
    asked = selectors(interpolate(query.expr))
    known = _TARGET_LABELS.union(_SYSTEM, *(_exported().get(name, set()) for name in _named(query)))
    matched = {each.name for selector in asked for each in selector.matchers.matchers}
    grouped = {
        label
        for node, _ in nodes(interpolate(query.expr))
        if isinstance(node, promql.AggregateExpr) and node.modifier
        for label in node.modifier.labels
    }
    shown = set(re.findall(r"\{\{(\w+)\}\}", query.legend))

    assert (matched | grouped | shown) - {"__name__"} <= known


@pytest.mark.parametrize(
    "query", [query for board in BOARDS.values() for query in panel_queries(board)], ids=str
)
def test_every_query_is_about_the_chosen_system(query: Query) -> None:
    """Panels and annotations show nothing of another environment, cluster or namespace."""
    marked = re.sub(rf"\$({'|'.join(_SYSTEM)})\b", r"chosen_\1", query.expr)
    for selector in selectors(interpolate(marked)):
        chosen = {each.name: each.value for each in selector.matchers.matchers}
        if selector.name == "slo:mlflow_error_budget:ratio":
            assert chosen in ({"environment": "chosen_environment"}, {"environment": ""})
        else:
            assert {label: chosen.get(label) for label in _SYSTEM} == {
                label: f"chosen_{label}" for label in _SYSTEM
            }


def test_an_exporter_that_is_replaced_takes_no_growth_with_it(tmp_path: Path) -> None:
    """Twice a day replaced, on two nodes, exporters show all that the store counted, and once."""
    lives = {
        'instance="a", pod="a", node="one"': "5000+1x287 stale",
        'instance="b", pod="b", node="two"': "_x293 5293+1x600 stale",
        'instance="c", pod="c", node="one"': "_x890 5890+1x545",
    }
    asked = {
        DAG_LOGS.name: increase(DAG_LOGS, "1d", by="dag_id"),
        f"{DAG_LOG_DURATION.name}_bucket": buckets(DAG_LOG_DURATION, by="dag_id", window="1d"),
    }
    unit_test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {
                        "series": f'{name}{{job="flowgauge", dag_id="etl", {labels}}}',
                        "values": values,
                    }
                    for name in asked
                    for labels, values in lives.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": interpolate(query),
                        "eval_time": "1435m",
                        "exp_samples": [{"labels": '{dag_id="etl"}', "value": 1435}],
                    }
                    for query in asked.values()
                ],
            }
        ],
    }
    path = tmp_path / "replaced.yaml"
    path.write_text(yaml.safe_dump(unit_test))

    tested = subprocess.run(
        ["promtool", "test", "rules", path], capture_output=True, text=True, check=False
    )

    assert tested.returncode == 0, tested.stdout


def test_every_metric_is_on_a_dashboard() -> None:
    """Whatever the code exports can be seen somewhere."""
    asked = set().union(*map(_named, all_queries()))
    shown = {
        metric.name
        for metric in (*SERVER_METRICS, *MLFLOW_METRICS, *EXPORTER_METRICS)
        if asked.intersection(metric.series)
    }
    exported = {metric.name for metric in (*SERVER_METRICS, *MLFLOW_METRICS, *EXPORTER_METRICS)}

    assert exported == shown


@pytest.mark.parametrize(
    ("panel", "recorded", "matcher"),
    [
        ("Latency, p95", "mlflow_http_request_duration_seconds", "route"),
        ("Failed in 1 h", "mlflow_dag_log_failures", "reason"),
    ],
)
def test_stat_leaves_out_what_its_alert_leaves_out(panel: str, recorded: str, matcher: str) -> None:
    """A number beside an alert's threshold is the number that the alert compares."""
    (query,) = [each for each in all_queries() if f": {panel}," in each.where]
    own = re.search(rf'{matcher}![=~]"[^"]+"', query.expr)
    rules = "".join(path.read_text() for path in asset("alerts").glob("*.yaml"))

    assert own
    assert re.search(rf"{recorded}[\w:]*{{{re.escape(own[0])}}}", rules)


def test_the_gateways_failures_are_those_that_its_alert_counts() -> None:
    """The share beside the threshold of MLflowGatewayFailing is the share that it compares."""
    (query,) = [each for each in all_queries() if ": Gateway requests that failed," in each.where]
    own = re.search(r'status=~"[^"]+"', query.expr)
    rules = (asset("alerts") / "server.yaml").read_text()

    assert own
    assert f"route_status:mlflow_gateway_requests:rate5m{{{own[0]}}}" in rules


@pytest.mark.parametrize("uid", BOARDS)
def test_dashboards_lead_to_each_other_and_to_the_runbooks(uid: str) -> None:
    """From every dashboard one click leads to every other and to the runbooks."""
    targets = {link["url"].partition("?")[0] for link in BOARDS[uid]["links"]}

    assert {f"/d/{other}" for other in BOARDS if other != uid} <= targets
    assert any(target.endswith("/runbooks") for target in targets)


def test_every_query_returns_data(tmp_path: Path) -> None:
    """No panel, variable or annotation stays empty on a Prometheus that scraped the system."""
    with history(tmp_path, hours=2, rules=("dags", "rate_limit", "server", "slo")) as past:
        assert unanswered(past.url, end=past.end, scrape_seconds=SCRAPE_SECONDS) == []
