"""Queries and variables, all on the data source that the reader chooses."""

from collections.abc import Sequence
from typing import Any

from grafanalib import core

__all__ = ["DATASOURCE", "datasource_variable", "query", "variable"]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def query(expression: str, legend: str = "__auto", *, instant: bool = False) -> Any:
    """Return a PromQL query; *legend* may hold `{{label}}`s.

    An instant query asks for the value now. A panel of one number needs that: over a range it would
    go on showing the last value there was, also when the target is gone.
    """
    return core.Target(expr=expression, legendFormat=legend, instant=instant, datasource=DATASOURCE)


def variable(
    name: str, label: str, promql: str, *, default: Sequence[str] = (), optional: bool = False
) -> Any:
    """Return a variable over the values of *promql* (`label_values(…)`), many at a time.

    It starts at *default*, else at All, which means series without the label too if it is
    *optional*. Grafana falls back to All where no *default* exists, and
    keeps it where nothing exists: a dashboard of a dead server still asks for that server.
    """
    return core.Template(
        name=name,
        label=label,
        query=promql,
        default=list(default) or ["$__all"],
        dataSource=DATASOURCE,
        multi=True,
        includeAll=True,
        allValue=".*" if optional else ".+",
        refresh=core.REFRESH_ON_TIME_RANGE_CHANGE,
    )


def datasource_variable() -> Any:
    """Return the variable that chooses the Prometheus."""
    return core.Template(
        name="datasource", label="Data source", type="datasource", query="prometheus"
    )
