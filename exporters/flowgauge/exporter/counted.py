"""What the store counted, as metric families."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from flowgauge.exporter.collector import Family
from flowgauge.exporter.families import Labels, family, histogram
from flowgauge.metrics import COUNTED_METRICS, Metric
from flowgauge.store.counts import Totals, owner_of

__all__ = ["OTHER", "counted_families"]

OTHER = "other"


def counted_families(
    *owner_labels: str, totals: Iterable[Totals], shown: Callable[[Totals], bool]
) -> Iterator[Family]:
    """Yield every counted metric whose owners have these labels, from their *totals*.

    Owners that are not *shown* are summed up under the labels `other`. Of their gauges only times
    are shown, the newest: any other gauge of many owners says nothing. A counter starts at 0 and
    not with its first event, so that an increase is seen from the start.
    """
    found = _Found(owner_labels)
    for each in totals:
        found.add(each.labels if shown(each) else (OTHER,) * len(owner_labels), each)
    yield from found.families()


class _Found:
    def __init__(self, owner_labels: tuple[str, ...]) -> None:
        metrics = [metric for metric in COUNTED_METRICS if owner_of(metric) == owner_labels]
        self._other = (OTHER,) * len(owner_labels)
        self._histograms = [_Histograms(each) for each in metrics if each.kind == "histogram"]
        # By name: a metric is slow to hash, and there may be hundreds of thousands of values.
        self._values: dict[str, tuple[Metric, dict[Labels, float]]] = {
            each.name: (each, defaultdict(float)) for each in metrics if each.kind != "histogram"
        }
        self._plain_counters = [
            values
            for metric, values in self._values.values()
            if metric.kind == "counter" and metric.labels == owner_labels
        ]

    def add(self, labels: Labels, totals: Totals) -> None:
        """Add what one owner counted under *labels*."""
        for values in self._plain_counters:
            values[labels] += 0
        for (name, *others), value in totals.values.items():
            # What a later version counts is left alone.
            counted = self._values.get(name)
            if counted and len(labels) + len(others) == len(counted[0].labels):
                metric, values = counted
                if metric.kind == "counter":
                    values[(*labels, *others)] += value
                else:
                    self._add_gauge(metric, values, labels, (*labels, *others), value)
        for histograms in self._histograms:
            histograms.add(labels, totals)

    def _add_gauge(
        self,
        metric: Metric,
        values: dict[Labels, float],
        owner: Labels,
        labels: Labels,
        value: float,
    ) -> None:
        if owner != self._other:
            values[labels] = value
        elif metric.name.endswith("_timestamp_seconds"):
            values[labels] = max(values[labels], value)

    def families(self) -> Iterator[Family]:
        """Yield what was found."""
        for metric, values in self._values.values():
            yield family(metric, values)
        for histograms in self._histograms:
            yield histograms.family()


class _Histograms:
    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._counts: dict[Labels, list[float]] = defaultdict(
            lambda: [0.0] * (len(metric.buckets) + 1)
        )
        self._sums: dict[Labels, float] = defaultdict(float)

    def add(self, labels: Labels, totals: Totals) -> None:
        """Add what one owner observed."""
        counts, total = totals.histogram(self._metric)
        if counts[-1]:
            known = self._counts[labels]
            self._counts[labels] = [one + more for one, more in zip(known, counts, strict=True)]
            self._sums[labels] += total

    def family(self) -> Family:
        """Return all of them."""
        return histogram(
            self._metric,
            {labels: (counts, self._sums[labels]) for labels, counts in self._counts.items()},
        )
