"""The collectors, one module a concern. A new one is one line here."""

from collections.abc import Callable, Sequence

from flowgauge.exporter.collector import Collector, Context
from flowgauge.exporter.collectors.build import BuildCollector
from flowgauge.exporter.collectors.dag_logging import DagLoggingCollector
from flowgauge.exporter.collectors.outbox import OutboxCollector
from flowgauge.exporter.collectors.rate_limit import RateLimitCollector
from flowgauge.exporter.collectors.store import StoreCollector
from flowgauge.exporter.collectors.tracking import TrackingCollector

__all__ = ["make_collectors"]

_COLLECTORS: tuple[Callable[[Context], Collector], ...] = (
    BuildCollector,
    DagLoggingCollector,
    OutboxCollector,
    RateLimitCollector,
    StoreCollector,
    TrackingCollector,
)


def make_collectors(context: Context) -> Sequence[Collector]:
    """Return every collector, reading from *context*."""
    return [make(context) for make in _COLLECTORS]
