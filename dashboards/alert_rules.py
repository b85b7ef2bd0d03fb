"""What the dashboards take from the alert rules: one number, one source."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from flowgauge.assets import asset

__all__ = ["firing", "names", "runbooks", "severity", "threshold"]

_COMPARISON = re.compile(r"(?:>=|<=|==|>|<)\s*(?P<number>[-+.\deE]+)\s*$")
_DASHBOARD = re.compile(r"/d/(?P<uid>[\w-]+)")


@dataclass(frozen=True)
class _Alert:
    name: str
    expr: str
    severity: str
    dashboard: str
    runbook: str


def threshold(alert: str) -> float:
    """Return the number that *alert* compares with; `KeyError` when there is no such alert."""
    expression = _alerts()[alert].expr
    match = _COMPARISON.search(expression)
    if match is None:
        raise ValueError(f"{alert}: {expression!r} does not end in a comparison with a number")
    return float(match["number"])


def severity(alert: str) -> str:
    """Return the severity of *alert*."""
    return _alerts()[alert].severity


def names(dashboard: str | None = None) -> str:
    """Return the matcher for our alerts: all, or those whose link leads to *dashboard*."""
    found = [alert.name for alert in _alerts().values() if dashboard in (None, alert.dashboard)]
    return f'alertname=~"{"|".join(sorted(found))}"'


def firing(dashboard: str | None = None, *, severity: str | None = None) -> str:
    """Return the selector of our alerts that fire: all, or those of *dashboard* or *severity*."""
    matchers = [names(dashboard), 'alertstate="firing"']
    if severity:
        matchers.append(f'severity="{severity}"')
    return f"ALERTS{{{','.join(matchers)}}}"


def runbooks() -> str:
    """Return the address of the folder the alerts' runbooks lie in."""
    return next(iter(_alerts().values())).runbook.rpartition("/")[0]


@cache
def _alerts() -> dict[str, _Alert]:
    found = {}
    for path in sorted(asset("alerts").glob("*.yaml")):
        for group in (yaml.safe_load(path.read_text()) or {}).get("groups", []):
            for rule in group["rules"]:
                if "alert" in rule:
                    found[rule["alert"]] = _parse(rule)
    return found


def _parse(rule: dict[str, Any]) -> _Alert:
    annotations = rule.get("annotations", {})
    link = _DASHBOARD.search(annotations.get("dashboard_url", ""))
    return _Alert(
        name=rule["alert"],
        expr=str(rule["expr"]).strip(),
        severity=rule["labels"]["severity"],
        dashboard=link["uid"] if link else "",
        runbook=annotations.get("runbook_url", ""),
    )
