"""Alerts and the error budget: what fires now, what fired before, how fast the budget goes."""

from typing import Any

from dashboards import alert_rules, budget, common
from dashboards.grafana import (
    Panel,
    above,
    below,
    dashboard,
    override,
    query,
    row,
    stat,
    state_timeline,
    table,
    timeseries,
    value_names,
)
from dashboards.promql import SYSTEM, gauge, minutes, select
from flowgauge.metrics import (
    BUILD_INFO,
    CERTIFICATE_EXPIRY,
    COLLECTOR_DURATION,
    COLLECTOR_SUCCESS,
    DAG_PAIRS_DROPPED,
    DAG_RUNS_LIMITED,
    DAG_RUNS_READ,
    GATEWAY_READ,
    HTTP_REQUESTS,
    PROBE_DURATION,
    PROBE_FAILURE,
    UP,
)

__all__ = ["alerts"]

# An alert's labels say whom it is about; which of them it has depends on the alert.
_SUBJECT = "alertname, severity, instance, dag_id, key, pool, collector"
_SEVERITIES = {"critical": ("critical", "red"), "warning": ("warning", "orange")}
_UP_OR_DOWN = value_names({0: ("DOWN", "red"), 1: ("UP", "green")})

_DAY = 24 * 3600


def alerts() -> Any:
    """Return the dashboard of the alerts and the error budget."""
    return dashboard(
        common.ALERTS,
        "MLflow alerts and error budget",
        "Which alerts fire, which fired, how fast the error budget goes, and whether the parts "
        "that tell all this are well.",
        variables=[
            # Alerts speak of MLflow's job and of the exporter's.
            *common.target_variables((HTTP_REQUESTS, BUILD_INFO), jobs=["mlflow", "flowgauge"]),
        ],
        panels=[*_overview(), *_firing(), *_budget(), *_watchers()],
        links=common.links(but=common.ALERTS),
        annotations=[],
        time="now-12h",
        refresh="1m",
    )


def _overview() -> list[Panel]:
    return [
        stat(
            "Critical",
            "Critical alerts that fire now: somebody must act.",
            "none",
            f"count({alert_rules.firing(severity='critical')}) or vector(0)",
            above(1),
            no_value="no data",
        ),
        stat(
            "Warnings",
            "Warnings that fire now: somebody should look today.",
            "none",
            f"count({alert_rules.firing(severity='warning')}) or vector(0)",
            above(1, color="orange"),
            no_value="no data",
        ),
        stat(
            "MLflow",
            "Whether MLflow answers the exporter's API calls.",
            "none",
            f"min({gauge(UP)})",
            below(1),
            mappings=_UP_OR_DOWN,
            no_value="no exporter",
        ),
        stat(
            "Exporter",
            "DOWN if any collector of the exporter failed at its last scrape.",
            "none",
            f"min({select(COLLECTOR_SUCCESS.name)})",
            below(1),
            mappings=_UP_OR_DOWN,
            no_value="no exporter",
        ),
        budget.left(),
        budget.burning(),
    ]


def _firing() -> list[Panel]:
    since = f"time() - ALERTS_FOR_STATE{{{alert_rules.names()},{SYSTEM}}}"
    firing = f"max by ({_SUBJECT}) ({alert_rules.firing()})"
    return [
        row("Alerts"),
        table(
            "Firing now",
            "Every alert that fires, whom it is about and for how long. A name leads to its "
            "runbook.",
            {
                "Active for": (
                    "s",
                    f"max by ({_SUBJECT}) ({since}) and {firing}",
                )
            },
            {
                "alertname": "Alert",
                "severity": "Severity",
                "instance": "Instance",
                "dag_id": "DAG",
                "key": "Rate limit",
                "pool": "Pool",
                "collector": "Collector",
            },
            sort_by="Severity",
            descending=False,
            no_value="No alert fires",
            overrides=[
                override(
                    "byName",
                    "Alert",
                    links=[
                        {
                            "title": "Runbook",
                            "url": f"{alert_rules.runbooks()}/${{__value.raw}}.md",
                            "targetBlank": True,
                        }
                    ],
                ),
                override(
                    "byName",
                    "Severity",
                    mappings=value_names(_SEVERITIES),
                    custom_cellOptions={"type": "color-background", "mode": "basic"},
                ),
            ],
        ),
        state_timeline(
            "History",
            "When each alert fired.",
            [query(f"max by (alertname) ({alert_rules.firing()})", "{{alertname}}")],
            value_names({1: ("firing", "red")}),
            width=24,
            no_value="No alert fired",
        ),
    ]


def _budget() -> list[Panel]:
    return [
        row("Error budget"),
        *budget.burns(),
        timeseries(
            "Requests served",
            "Share of requests that were neither answered with 5xx nor refused for want of a "
            "database connection, over 5 minutes.",
            "percentunit",
            [query(f"1 - {budget.FAILURES} / ({budget.REQUESTS} > 0)", "{{job}}")],
            minimum=None,
            maximum=1,
        ),
        timeseries(
            "Requests failed",
            "Requests per second that count against the error budget.",
            "reqps",
            [query(budget.FAILURES, "{{job}}")],
            overrides=[common.shaded("/./", "red")],
        ),
    ]


def _watchers() -> list[Panel]:
    return [
        row("Who watches"),
        state_timeline(
            "Targets",
            "Whether Prometheus could scrape MLflow and the exporter.",
            [query(select("up"), "{{job}} {{instance}}")],
            _UP_OR_DOWN,
        ),
        state_timeline(
            "Collectors",
            "Whether each of the exporter's collectors succeeded.",
            [query(select(COLLECTOR_SUCCESS.name), "{{collector}} on {{instance}}")],
            _UP_OR_DOWN,
        ),
        timeseries(
            "Collector time",
            "Time each collector took. A scrape must end within 10 s.",
            "s",
            [query(select(COLLECTOR_DURATION.name), "{{collector}} on {{instance}}")],
            width=6,
        ),
        timeseries(
            "Time of an API call",
            "Time MLflow took to answer the exporter's own API call.",
            "s",
            [query(select(PROBE_DURATION.name), "{{instance}}")],
            width=6,
        ),
        timeseries(
            "Left out",
            "DAG and task pairs beyond the exporter's label limit, which are shown together as "
            "other; and 1 where MLflow has more runs than the exporter has read.",
            "short",
            [
                query(gauge(DAG_PAIRS_DROPPED), "pairs over the limit"),
                query(gauge(DAG_RUNS_LIMITED), "older runs not counted {{workspace}}"),
            ],
            width=6,
        ),
        timeseries(
            "Age of the runs",
            "Since the exporter last asked MLflow for runs, and for the gateway's tokens and "
            "budgets. It does so every minute, and more rarely where that takes MLflow long.",
            "m",
            [
                query(minutes(f"time() - {gauge(DAG_RUNS_READ)}"), "runs {{workspace}}"),
                query(minutes(f"time() - {gauge(GATEWAY_READ)}"), "gateway"),
            ],
            width=6,
        ),
        timeseries(
            "Failed API calls",
            "Why MLflow did not answer the exporter's own API call: 1 for the reason.",
            "short",
            [query(gauge(PROBE_FAILURE), "{{reason}}")],
        ),
        timeseries(
            "MLflow's certificate",
            "For how many days the certificate that MLflow shows the exporter is still valid. The "
            "line is where MLflowCertificateExpiring fires.",
            "short",
            [query(f"(min({gauge(CERTIFICATE_EXPIRY)}) - time()) / {_DAY}", "days left")],
            thresholds=below(alert_rules.threshold("MLflowCertificateExpiring") / _DAY),
            no_value="no TLS",
        ),
    ]
