"""The error budget, from the series that the burn alerts themselves read."""

from dashboards import alert_rules
from dashboards.grafana import Panel, above, below, query, stat, timeseries
from dashboards.promql import JOB

__all__ = ["FAILURES", "REQUESTS", "burning", "burns", "left"]

# The rules add the servers of a job together: these series have no instance.
_JOB = f"{{{JOB}}}"
FAILURES = f"job:mlflow_slo_failures:rate5m{_JOB}"
REQUESTS = f"job:mlflow_slo_requests:rate5m{_JOB}"

_ALLOWED = "slo:mlflow_error_budget:ratio"

_WINDOWS = {
    "MLflowErrorBudgetBurn1h": ("5m", "1h"),
    "MLflowErrorBudgetBurn6h": ("30m", "6h"),
    "MLflowErrorBudgetBurn1d": ("2h", "1d"),
    "MLflowErrorBudgetBurn3d": ("6h", "3d"),
}


def left() -> Panel:
    """Return the share of the error budget that is not spent."""
    spent = f"avg_over_time({FAILURES}[30d]) / avg_over_time({REQUESTS}[30d])"
    # Rendered rules are of one environment, with an objective of its own; plain ones are of all.
    own = f'{spent} / on (environment) group_left () {_ALLOWED}{{environment=~"$environment"}}'
    everybodys = f'{spent} / scalar({_ALLOWED}{{environment=""}})'
    return stat(
        "Error budget left",
        "Share of the last 30 days' error budget that is not spent, of the environment that has "
        "the least left. Red with less than a quarter left; below 0 the objective is missed.",
        "percentunit",
        f"min(1 - ({own} or {everybodys}))",
        below(0.25),
        decimals=0,
        no_value="no traffic",
    )


def burning() -> Panel:
    """Return how fast the last hour spent the error budget."""
    return stat(
        "Budget burn, 1 h",
        "How many times faster than planned the last hour spent the error budget. At 1 it lasts "
        "exactly 30 days. Red where MLflowErrorBudgetBurn1h fires.",
        "short",
        f"max({_burn('1h')})",
        above(alert_rules.threshold("MLflowErrorBudgetBurn1h")),
        decimals=1,
        no_value="no traffic",
    )


def burns(*, width: int = 6, severity: str | None = None) -> list[Panel]:
    """Return a panel per burn alert (of *severity*), with both windows that it reads."""
    return [
        timeseries(
            f"Burn over {short} and {long}",
            "How many times faster than planned the error budget is being spent. The line is "
            f"where {alert} fires, if both windows are over it.",
            "short",
            [query(_burn(window), f"{{{{job}}}} {window}") for window in (short, long)],
            thresholds=above(alert_rules.threshold(alert)),
            width=width,
        )
        for alert, (short, long) in _WINDOWS.items()
        if severity in (None, alert_rules.severity(alert))
    ]


def _burn(window: str) -> str:
    return f"job:mlflow_error_budget_burn:rate{window}{_JOB}"
