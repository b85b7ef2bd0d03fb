"""The collectors, one module a concern. A new one is one line here."""

from collections.abc import Callable, Collection, Mapping, Sequence

from flowgauge.exporter.collector import Collector, Context
from flowgauge.exporter.collectors.build import BuildCollector
from flowgauge.exporter.collectors.dag_logging import DagLoggingCollector
from flowgauge.exporter.collectors.gateway import GatewayCollector
from flowgauge.exporter.collectors.outbox import OutboxCollector
from flowgauge.exporter.collectors.rate_limit import RateLimitCollector
from flowgauge.exporter.collectors.runs import RunsCollector
from flowgauge.exporter.collectors.store import StoreCollector
from flowgauge.exporter.collectors.tracking import TrackingCollector

__all__ = ["COLLECTORS", "make_collectors"]

COLLECTORS: Mapping[str, Callable[[Context], Collector]] = {
    "build": BuildCollector,
    "dag_logging": DagLoggingCollector,
    "gateway": GatewayCollector,
    "outbox": OutboxCollector,
    "rate_limit": RateLimitCollector,
    "runs": RunsCollector,
    "store": StoreCollector,
    "tracking": TrackingCollector,
}
"""What makes each, by the name it has in options and in the label `collector`."""


def make_collectors(context: Context, names: Collection[str] = COLLECTORS) -> Sequence[Collector]:
    """Return the collectors of these *names*, by default all, reading from *context*."""
    return [make(context) for name, make in COLLECTORS.items() if name in names]
