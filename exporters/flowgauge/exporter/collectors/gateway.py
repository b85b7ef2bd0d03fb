"""MLflow's gateway to language models: its budgets, and the tokens it took."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flowgauge.exporter.collector import MAX_TIME_LIMIT_SECONDS, Context, Family
from flowgauge.exporter.families import Labels, family
from flowgauge.exporter.workspaces import Workspaces, in_workspace, is_up
from flowgauge.metrics import (
    GATEWAY_BUDGET,
    GATEWAY_BUDGET_SPENT,
    GATEWAY_READ,
    GATEWAY_TOKENS,
    Metric,
)
from flowgauge.tracking.errors import TrackingError, TrackingNotMlflowError
from flowgauge.tracking.queries import Queries

__all__ = ["GatewayCollector"]

_PROBE_SECONDS = 3.0
_LOOK_SECONDS = MAX_TIME_LIMIT_SECONDS - _PROBE_SECONDS - 0.5
# For how much of the time a look may be under way; it grows rarer for it, up to ten times, and is
# as rare where there is no gateway.
_SHARE = 0.0001
_RARER = 10
_DAY_MS = 24 * 3600 * 1000
# Of each, whoever may make them: a page shows no more.
_MOST = 100
_KINDS = ("input", "output")

_Shown = dict[Metric, dict[Labels, float]]


class GatewayCollector:
    """Shows each budget and what of it is spent, and the tokens of each endpoint's last 24 hours.

    All of it is MLflow's own reckoning, asked for at most every `runs_interval_seconds` of the
    context, in the same workspaces as the runs, and it says when. A MLflow without a gateway, or
    one that is older, shows nothing; so does an endpoint of which it does not track the usage.
    """

    name = "gateway"
    time_limit_seconds = MAX_TIME_LIMIT_SECONDS

    def __init__(
        self,
        context: Context,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = context.tracking
        self._interval = context.runs_interval_seconds
        self._workspaces = Workspaces(context.tracking, context.max_workspaces, clock)
        self._now = now
        self._clock = clock
        self._due = clock()
        self._failure: TrackingError | None = None
        self._families: Sequence[Family] = ()

    def collect(self) -> Iterator[Family]:
        """Yield what the last look found, after one if it is time."""
        if self._clock() >= self._due:
            self._look()
        yield from self._families
        if self._failure:
            raise self._failure

    def _look(self) -> None:
        began = self._clock()

        def left() -> float:
            return max(began + _LOOK_SECONDS - self._clock(), 0)

        self._due = began + self._interval
        shown: _Shown = {GATEWAY_BUDGET: {}, GATEWAY_BUDGET_SPENT: {}, GATEWAY_TOKENS: {}}
        try:
            for workspace in self._workspaces.names(_LOOK_SECONDS):
                headers = in_workspace(workspace)
                queries = Queries(self._client, seconds_left=left, headers=headers)
                _read_budgets(queries, workspace, shown)
                self._read_tokens(queries, workspace, shown)
        except TrackingError as error:
            self._failure = error if is_up(self._client, _PROBE_SECONDS) else None
            return
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            self._failure = TrackingNotMlflowError(
                f"{self._client.address} tells of its gateway in a way that MLflow does not: see "
                "what answers there"
            )
            return
        self._failure = None
        rarest = _RARER * self._interval
        took = self._clock() - began
        found = any(shown.values())
        shown[GATEWAY_READ] = {(): self._now()} if found else {}
        self._due = began + (min(max(took / _SHARE, self._interval), rarest) if found else rarest)
        self._families = [family(metric, values) for metric, values in shown.items()]

    def _read_tokens(self, queries: Queries, workspace: str, shown: _Shown) -> None:
        names = {
            str(endpoint["experiment_id"]): str(endpoint["name"])
            for endpoint in queries.gateway_endpoints()[:_MOST]
            if endpoint.get("experiment_id")
        }
        since_ms = int(self._now() * 1000) - _DAY_MS
        for experiment_id, name in names.items():
            for kind in _KINDS:
                tokens = queries.tokens(experiment_id, kind, since_ms)
                if tokens is not None:
                    shown[GATEWAY_TOKENS][name, kind, workspace] = tokens


def _read_budgets(queries: Queries, workspace: str, shown: _Shown) -> None:
    budgets = queries.gateway_budgets()[:_MOST]
    spent = queries.gateway_spending() if budgets else {}
    for budget in budgets:
        labels = _labels(budget, workspace)
        shown[GATEWAY_BUDGET][labels] = float(budget["budget_amount"])
        if (budget_id := str(budget["budget_policy_id"])) in spent:
            shown[GATEWAY_BUDGET_SPENT][labels] = spent[budget_id]


def _labels(budget: Mapping[str, Any], workspace: str) -> Labels:
    every, scope = budget["duration"], str(budget["target_scope"])
    return (
        str(budget["budget_policy_id"]),
        scope,
        f"{every['value']} {every['unit']}",
        str(budget["budget_action"]),
        # Every workspace tells of one that is for all.
        "" if scope == "GLOBAL" else workspace,
    )
