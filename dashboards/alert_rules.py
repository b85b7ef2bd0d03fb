"""What the dashboards take from the alert rules: one number, one source."""

import re
from functools import cache

from dashboards.promql import SYSTEM
from flowgauge.assets import asset
from flowgauge.rules.files import Rule, read_rules

__all__ = ["firing", "names", "runbooks", "severity", "threshold"]


def threshold(alert: str) -> float:
    """Return the number that *alert* compares with, the last word of its expression."""
    return float(_alerts()[alert].expr.split()[-1])


def severity(alert: str) -> str:
    """Return the severity of *alert*."""
    return _alerts()[alert].labels["severity"]


def names(dashboard: str = "") -> str:
    """Return the matcher for our alerts: all, or those whose link leads to *dashboard*."""
    link = re.compile(rf"/d/{dashboard}\b")
    found = [
        name for name, alert in _alerts().items() if link.search(alert.annotations["dashboard_url"])
    ]
    return f'alertname=~"{"|".join(sorted(found))}"'


def firing(dashboard: str = "", *, severity: str = "") -> str:
    """Return the selector of our alerts that fire: all, or those of *dashboard* or *severity*."""
    matchers = [names(dashboard), 'alertstate="firing"', SYSTEM]
    if severity:
        matchers.append(f'severity="{severity}"')
    return f"ALERTS{{{','.join(matchers)}}}"


def runbooks() -> str:
    """Return the address of the folder the alerts' runbooks lie in."""
    (folder,) = {
        alert.annotations["runbook_url"].rpartition("/")[0] for alert in _alerts().values()
    }
    return folder


@cache
def _alerts() -> dict[str, Rule]:
    sources = read_rules([f"{asset('alerts')}/*.yaml"])
    rules = [rule for source in sources for rule in source.file.rules if rule.alert]
    # The watchdog always fires: it is no news.
    return {str(rule.alert): rule for rule in rules if rule.labels["severity"] != "none"}
