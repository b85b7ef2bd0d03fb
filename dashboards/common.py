"""What the dashboards share: their names, the links between them, and a few looks."""

from collections.abc import Sequence
from typing import Any

from dashboards import alert_rules
from dashboards.grafana import (
    Json,
    Panel,
    above,
    annotation,
    link,
    override,
    stat,
    variable,
)
from dashboards.promql import JOB, SYSTEM, label_values
from flowgauge.metrics import SERVER_INFO, Metric

__all__ = [
    "ALERTS",
    "DAGS",
    "INVENTORY",
    "RATE_LIMIT",
    "SERVER",
    "alerts_of",
    "colored",
    "dashed",
    "firing_alerts",
    "graded",
    "links",
    "target_variables",
    "versions",
]

SERVER = "flowgauge-server"
DAGS = "flowgauge-dags"
RATE_LIMIT = "flowgauge-rate-limit"
INVENTORY = "flowgauge-inventory"
ALERTS = "flowgauge-alerts"

_TITLES = {
    SERVER: "Server",
    DAGS: "DAGs",
    RATE_LIMIT: "Rate limit and outbox",
    INVENTORY: "Inventory",
    ALERTS: "Alerts",
}


def links(but: str) -> list[Any]:
    """Return the links to the other dashboards and to the runbooks.

    Data source and system go along, but not the job: MLflow and the exporter are different jobs.
    """
    kept = "&".join(
        f"${{{name}:queryparam}}" for name in ("datasource", "environment", "cluster", "namespace")
    )
    others = [link(title, f"/d/{uid}?{kept}") for uid, title in _TITLES.items() if uid != but]
    return [*others, link("Runbooks", alert_rules.runbooks())]


def target_variables(told_by: Metric | Sequence[Metric], *, jobs: Sequence[str]) -> list[Any]:
    """Return the variables that choose a system and its targets, of those that *told_by* is from.

    They start at all systems, and at *jobs*.
    """
    environment, cluster, _ = SYSTEM.split(",")
    return [
        variable("environment", "Environment", label_values(told_by, "environment"), optional=True),
        variable(
            "cluster", "Cluster", label_values(told_by, "cluster", environment), optional=True
        ),
        variable(
            "namespace",
            "Namespace",
            label_values(told_by, "namespace", environment, cluster),
            optional=True,
        ),
        variable("job", "Job", label_values(told_by, "job", SYSTEM), default=jobs),
        variable("instance", "Instance", label_values(told_by, "instance", JOB)),
    ]


def alerts_of(uid: str) -> Json:
    """Return the annotation for the alerts that lead to the dashboard *uid*."""
    return annotation(
        "Alerts",
        alert_rules.firing(uid),
        color="red",
        title="{{alertname}}",
        text="{{severity}}",
        tags=["alertname", "severity"],
    )


def versions() -> Json:
    """Return the annotation for the moments from which on MLflow has another version."""
    reported = f"{SERVER_INFO.name}{{{SYSTEM}}}"
    return annotation(
        "Versions",
        f"group by (version) ({reported}) "
        f"unless group by (version) (last_over_time({reported}[1d] offset 5m))",
        color="blue",
        title="MLflow {{version}}",
        text="first seen",
        tags=["version"],
    )


def firing_alerts(uid: str) -> Panel:
    """Return how many of the alerts that lead to the dashboard *uid* fire now."""
    return stat(
        "Alerts firing",
        "Alerts about what this dashboard shows that fire now; the Alerts dashboard names them.",
        "none",
        f"count({alert_rules.firing(uid)}) or vector(0)",
        above(1),
        no_value="no data",
    )


def graded(field: str, thresholds: Sequence[Json]) -> Json:
    """Return the override that writes a table's column in the colours of *thresholds*."""
    return override(
        "byName",
        field,
        thresholds={"mode": "absolute", "steps": list(thresholds)},
        custom_cellOptions={"type": "color-text"},
    )


def shaded(pattern: str, color: str) -> Json:
    """Return the override that draws the series *pattern* matches in shades of *color*."""
    return override("byRegexp", pattern, color={"mode": "shades", "fixedColor": color})


STATUS_COLORS = [
    override("byName", status, color={"mode": "fixed", "fixedColor": color})
    for status, color in {
        "FINISHED": "green",
        "RUNNING": "blue",
        "SCHEDULED": "text",
        "FAILED": "red",
        "KILLED": "orange",
    }.items()
]
"""Of MLflow's runs."""


def colored(field: str, color: str) -> Json:
    """Return the override that draws a series in *color*."""
    return override("byName", field, color={"mode": "fixed", "fixedColor": color})


def dashed(pattern: str) -> Json:
    """Return the override that draws the series *pattern* matches as a dashed line."""
    return override(
        "byRegexp",
        pattern,
        custom_lineStyle={"fill": "dash", "dash": [10, 10]},
        custom_fillOpacity=0,
    )
