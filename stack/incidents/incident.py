"""What an incident is, and how one is tried."""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from stack.incidents.load import log_metric, new_run, read_run, traffic
from stack.incidents.site import Site
from stack.process import StackError, wait_for
from stack.webhook import Delivery

__all__ = ["Incident", "Outcome", "attempt", "told"]

# As long as the slowest alert takes: `for` 15 minutes after a window of 5, both scaled.
_WATCH_SECONDS = 40.0
_QUIET_SECONDS = 300.0


@dataclass(frozen=True)
class Incident:
    """A fault and the one alert that must come of it, within *bound* seconds.

    *happening* causes the fault on entry and mends it on exit. Without an *alert* nothing may
    arrive. Of other alerts only *companions*, all of them warnings, may arrive, and those of what
    was wrong *before*. For *aftermath* seconds after it is over nothing may arrive, while users go
    on; one that comes again by itself has None. An alert of another environment is called `NAME in
    ENVIRONMENT`. Whether it is *possible* depends on the user and the machine.
    """

    name: str
    happening: Callable[[Site], AbstractContextManager[None]]
    alert: str | None
    bound: float
    companions: Collection[str] = ()
    before: Collection[str] = ()
    aftermath: float | None = 0.0
    possible: Callable[[], bool] = lambda: True

    def watched_for(self, seconds: float) -> "Incident":
        """Return it with an aftermath of so many *seconds* at least, if it may have one."""
        if self.aftermath is None:
            return self
        return replace(self, aftermath=max(self.aftermath, seconds))


@dataclass
class Outcome:
    """What came of an incident; seconds are real ones, None for what did not happen in time.

    It is `resolved` so long after one began to mend it.
    """

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
    """Let *incident* happen once nothing fires any more, mend it, and watch until nothing fires.

    And then, while its aftermath lasts, that nothing does.
    """
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
        mending = clock()
    if outcome.fired is not None:
        outcome.resolved = _seconds_until(
            lambda: incident.alert in _names(site.notifications.deliveries[mended:], "resolved"),
            _QUIET_SECONDS,
            clock,
            since=mending,
        )
    _wait_until_quiet(site)
    arrived = _names(site.notifications.deliveries[seen:], "firing")
    expected = {incident.alert, *incident.companions, *incident.before, *_OF_DAYS}
    over = len(site.notifications.deliveries)
    _let_users_go_on(site, incident.aftermath)
    late = _names(site.notifications.deliveries[over:], "firing")
    outcome.false_alarms = (arrived - expected) | (late - {*_OF_DAYS})
    return outcome


def told(site: Site, alert: str) -> None:
    """Return once the receiver has been told of *alert*."""
    wait_for(lambda: alert in _names(site.notifications.deliveries, "firing"), f"{alert} arrives")


# A day of theirs is 48 minutes here, so that they remember what every incident spent of the budget:
# their unit tests judge them. And an environment that was taken away is missed for a day.
_OF_DAYS = ("MLflowErrorBudgetBurn1d", "MLflowErrorBudgetBurn3d")
_TAKEN_AWAY = 'ALERTS{alertname=~".*Absent", environment!=""}'


def _let_users_go_on(site: Site, seconds: float | None) -> None:
    if seconds:
        run = new_run(site.mlflow_uri)
        with traffic(site.mlflow_uri, [read_run(run), log_metric(run)]):
            time.sleep(seconds)


def _wait_until_quiet(site: Site) -> None:
    firing = f'ALERTS{{severity!="none", alertname!~"{"|".join(_OF_DAYS)}"}}'
    amiss = f"{firing} unless {_TAKEN_AWAY} or up == 0"
    wait_for(
        lambda: not site.prometheus.query(amiss),
        "no alert is pending or fires",
        timeout=_QUIET_SECONDS,
        interval=0.5,
    )


def _seconds_until(
    condition: Callable[[], object],
    bound: float,
    clock: Callable[[], float],
    since: float | None = None,
) -> float | None:
    begin = clock() if since is None else since
    try:
        wait_for(condition, "", timeout=bound, interval=0.1)
    except StackError:
        return None
    return clock() - begin


def _names(deliveries: Collection[Delivery], status: str) -> set[str]:
    return {
        _name(alert["labels"])
        for delivery in deliveries
        for alert in delivery.body["alerts"]
        if alert["status"] == status
    }


def _name(labels: Mapping[str, str]) -> str:
    environment = labels.get("environment")
    return labels["alertname"] + (f" in {environment}" if environment else "")
