"""The rate limits that are in use."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flowgauge.exporter.collector import Context, Family
from flowgauge.exporter.counted import counted_families
from flowgauge.exporter.families import family
from flowgauge.metrics import (
    RATE_LIMIT_MAX_CALLS,
    RATE_LIMIT_WINDOW_CALLS,
    RATE_LIMIT_WINDOW_SECONDS,
    Metric,
)
from flowgauge.store import Totals, WindowState

__all__ = ["RateLimitCollector"]

_VALUES: dict[Metric, Callable[[WindowState], float]] = {
    RATE_LIMIT_WINDOW_CALLS: lambda window: window.window_calls,
    RATE_LIMIT_MAX_CALLS: lambda window: window.max_calls,
    RATE_LIMIT_WINDOW_SECONDS: lambda window: window.window_seconds,
}


@dataclass(frozen=True)
class RateLimitCollector:
    """Shows the rate limits of the store, up to the context's `max_pairs`."""

    context: Context
    name = "rate_limit"
    time_limit_seconds = 5.0

    def collect(self) -> Iterator[Family]:
        """Yield every metric that is counted by key, and how full the windows are."""
        limits = self.context.store.counts.totals("key")
        yield from counted_families("key", totals=limits, shown=self._is_shown)
        windows = list(self.context.store.windows.states())[: self.context.max_pairs]
        for metric, value in _VALUES.items():
            yield family(metric, {(window.key,): value(window) for window in windows})

    def _is_shown(self, owner: Totals) -> bool:
        return owner.place < self.context.max_pairs
