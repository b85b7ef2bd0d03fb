"""What an incident is, and how one is tried."""

import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from stack.incidents.site import Site
from stack.process import StackError, wait_for
from stack.webhook import Delivery

__all__ = ["Incident", "Outcome", "attempt"]

# As long as the slowest alert takes: `for` 15 minutes after a window of 5, both scaled.
_WATCH_SECONDS = 40.0
_QUIET_SECONDS = 300.0


@dataclass(frozen=True)
class Incident:
    """A fault and the one alert that must come of it, within *bound* seconds.

    *happening* causes the fault on entry and mends it on exit. Without an *alert* nothing may
    arrive. Of other alerts only *companions*, all of them warnings, may arrive.
    """

    name: str
    happening: Callable[[Site], AbstractContextManager[None]]
    alert: str | None
    bound: float
    companions: Collection[str] = ()


@dataclass
class Outcome:
    """What came of an incident; seconds are real ones, None for what did not happen in time."""

    incident: Incident
    fired: float | None = None
    resolved: float | None = None
    false_alarms: set[str] = field(default_factory=set)

    @property
    def as_expected(self) -> bool:
        """Whether the right alert arrived in time, alone, and ended; or none, if none was due."""
        silent = self.incident.alert is None
        told = self.fired is not None and self.resolved is not None
        return not self.false_alarms and (silent or told)


def attempt(site: Site, incident: Incident, clock: Callable[[], float] = time.monotonic) -> Outcome:
    """Let *incident* happen once nothing fires any more, mend it, and watch until nothing fires."""
    outcome = Outcome(incident)
    _wait_until_quiet(site)
    seen = len(site.notifications.deliveries)
    with incident.happening(site):
        outcome.fired = _seconds_until(
            lambda: incident.alert in _names(site.notifications.deliveries[seen:], "firing"),
            incident.bound if incident.alert else _WATCH_SECONDS,
            clock,
        )
        mended = len(site.notifications.deliveries)
    if outcome.fired is not None:
        outcome.resolved = _seconds_until(
            lambda: incident.alert in _names(site.notifications.deliveries[mended:], "resolved"),
            _QUIET_SECONDS,
            clock,
        )
    _wait_until_quiet(site)
    arrived = _names(site.notifications.deliveries[seen:], "firing")
    outcome.false_alarms = arrived - {incident.alert, *incident.companions, *_OF_DAYS}
    return outcome


# A day of theirs is 48 minutes here, so that they remember what every incident spent of the budget:
# their unit tests judge them.
_OF_DAYS = ("MLflowErrorBudgetBurn1d", "MLflowErrorBudgetBurn3d")


def _wait_until_quiet(site: Site) -> None:
    amiss = f'ALERTS{{severity!="none", alertname!~"{"|".join(_OF_DAYS)}"}} or up == 0'
    wait_for(
        lambda: not site.prometheus.query(amiss),
        "no alert is pending or fires",
        timeout=_QUIET_SECONDS,
        interval=0.5,
    )


def _seconds_until(
    condition: Callable[[], object], bound: float, clock: Callable[[], float]
) -> float | None:
    begin = clock()
    try:
        wait_for(condition, "", timeout=bound, interval=0.1)
    except StackError:
        return None
    return clock() - begin


def _names(deliveries: Collection[Delivery], status: str) -> set[str]:
    return {
        alert["labels"]["alertname"]
        for delivery in deliveries
        for alert in delivery.body["alerts"]
        if alert["status"] == status
    }
