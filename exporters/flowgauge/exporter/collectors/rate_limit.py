"""The rate limits that are in use."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flowgauge.exporter.collector import Context, Family
from flowgauge.exporter.families import family
from flowgauge.metrics import (
    RATE_LIMIT_CALLS,
    RATE_LIMIT_FAIL_OPEN,
    RATE_LIMIT_HITS,
    RATE_LIMIT_MAX_CALLS,
    RATE_LIMIT_WAIT,
    RATE_LIMIT_WINDOW_CALLS,
    RATE_LIMIT_WINDOW_SECONDS,
    Metric,
)
from flowgauge.store import WindowState

__all__ = ["RateLimitCollector"]

_VALUES: dict[Metric, Callable[[WindowState], float]] = {
    RATE_LIMIT_CALLS: lambda window: window.calls,
    RATE_LIMIT_HITS: lambda window: window.hits,
    RATE_LIMIT_WAIT: lambda window: window.wait_seconds,
    RATE_LIMIT_WINDOW_CALLS: lambda window: window.window_calls,
    RATE_LIMIT_MAX_CALLS: lambda window: window.max_calls,
    RATE_LIMIT_WINDOW_SECONDS: lambda window: window.window_seconds,
    RATE_LIMIT_FAIL_OPEN: lambda window: window.fail_open,
}


@dataclass(frozen=True)
class RateLimitCollector:
    """Shows every rate limit of the store."""

    context: Context
    name = "rate_limit"
    time_limit_seconds = 5.0

    def collect(self) -> Iterator[Family]:
        """Yield `mlflow_rate_limit_*`."""
        windows = self.context.store.windows()
        for metric, value in _VALUES.items():
            yield family(metric, {(window.key,): value(window) for window in windows})
