"""What the dashboards share: their names, the links between them, and a few looks."""

from collections.abc import Sequence
from typing import Any

from dashboards import alert_rules
from dashboards.grafana import (
    Json,
    Panel,
    above,
    alerts_annotation,
    link,
    override,
    stat,
    variable,
)
from dashboards.promql import label_values
from flowgauge.metrics import BUILD_INFO

__all__ = [
    "ALERTS",
    "DAGS",
    "INVENTORY",
    "RATE_LIMIT",
    "SERVER",
    "alerts_of",
    "colored",
    "dashed",
    "exporter_variables",
    "firing_alerts",
    "graded",
    "links",
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

    The data source goes along, but not the job: MLflow and the exporter are different jobs.
    """
    others = [
        link(title, f"/d/{uid}?${{datasource:queryparam}}")
        for uid, title in _TITLES.items()
        if uid != but
    ]
    return [*others, link("Runbooks", alert_rules.runbooks())]


def exporter_variables() -> list[Any]:
    """Return the variables that choose the exporter."""
    return [
        variable("job", "Job", label_values(BUILD_INFO, "job"), default=["flowgauge"]),
        variable("instance", "Instance", label_values(BUILD_INFO, "instance", 'job=~"$job"')),
    ]


def alerts_of(uid: str) -> Json:
    """Return the annotation for the alerts that lead to the dashboard *uid*."""
    return alerts_annotation(alert_rules.firing(uid))


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
