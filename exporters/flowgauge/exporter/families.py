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

__all__ = ["Labels", "family", "histogram", "is_clean"]

# As long as the names of DAGs and tasks may be.
_LONGEST_LABEL = 250
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

Labels = tuple[str, ...]
"""The values of a metric's labels, in the order of `Metric.labels`."""


def family(metric: Metric, values: Mapping[Labels, float]) -> Family:
    """Return *metric*, a counter or gauge, with *values* by their label values.

    A label without a value is left out: to Prometheus it is none.
    """
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    made = kind(metric.name, metric.help, labels=metric.labels)
    # Two may be one once they are clean, and a page may name a series once.
    for labels, value in {_clean(labels): value for labels, value in values.items()}.items():
        made.add_metric(labels, value)
    for sample in made.samples:
        for label in [label for label, said in sample.labels.items() if not said]:
            del sample.labels[label]
    return made


def histogram(metric: Metric, values: Mapping[Labels, tuple[Sequence[float], float]]) -> Family:
    """Return *metric* with *values* by label values: cumulative counts up to +Inf, and the sum."""
    made = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [floatToGoString(bound) for bound in (*metric.buckets, float("inf"))]
    cleaned = {_clean(labels): each for labels, each in values.items()}
    for labels, (counts, total) in cleaned.items():
        made.add_metric(labels, list(zip(bounds, counts, strict=True)), total)
    return made


def is_clean(label: str) -> bool:
    """Return whether any page can show *label* as it is."""
    return len(label) <= _LONGEST_LABEL and label.isprintable()


def _clean(labels: Labels) -> Labels:
    """Return *labels* as any page can show them: what strangers wrote may be no text, or a book."""
    return tuple(map(_clean_label, labels))


def _clean_label(label: str) -> str:
    if is_clean(label):
        return label
    return "".join(c if c.isprintable() else _REPLACEMENT for c in label[:_LONGEST_LABEL])
