"""From the table in `flowgauge.metrics` to what prometheus_client shows."""

from collections.abc import Mapping, Sequence

from prometheus_client import Metric as Family
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.utils import floatToGoString

from flowgauge.metrics import Metric

__all__ = ["Labels", "family", "histogram"]

Labels = tuple[str, ...]
"""The values of a metric's labels, in the order of `Metric.labels`."""


def family(metric: Metric, values: Mapping[Labels, float]) -> Family:
    """Return *metric*, a counter or gauge, with *values* by their label values."""
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    made = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        made.add_metric(labels, value)
    return made


def histogram(metric: Metric, values: Mapping[Labels, tuple[Sequence[float], float]]) -> Family:
    """Return *metric* with *values* by label values: cumulative counts up to +Inf, and the sum."""
    made = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [floatToGoString(bound) for bound in (*metric.buckets, float("inf"))]
    for labels, (counts, total) in values.items():
        made.add_metric(labels, list(zip(bounds, counts, strict=True)), total)
    return made
