"""The fragments of PromQL that the dashboards are made of.

Every selector carries `$environment`, `$cluster`, `$namespace`, `$job` and `$instance`, and every
rate `$__rate_interval`, which Grafana keeps at four scrapes or more: shorter, a late scrape leaves
a gap.
https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/

Several exporters may read the one store and then show the same numbers: what the exporter shows is
taken once, whatever else the targets' labels tell apart (`max by` its own labels and the job's),
never added up over instances. What the store counts only grows, so its growth is from the fewest
that any exporter showed to what was shown last: one that is replaced takes nothing with it.
"""

from collections.abc import Sequence

from flowgauge.metrics import EXPORTER_METRICS, Metric

__all__ = [
    "JOB",
    "MINUTE",
    "RATE_INTERVAL",
    "SYSTEM",
    "buckets",
    "gauge",
    "increase",
    "label_values",
    "minutes",
    "part",
    "quantile",
    "ratio",
    "select",
    "total",
]

SYSTEM = 'environment=~"$environment",cluster=~"$cluster",namespace=~"$namespace"'
"""The matchers that choose one system, as the rules tell them apart."""

JOB = f'{SYSTEM},job=~"$job"'
_SELECTOR = f'{JOB},instance=~"$instance"'
_JOB_LABELS = ("environment", "cluster", "namespace", "job")
RATE_INTERVAL = "$__rate_interval"
MINUTE = 60


def select(series: str, *matchers: str) -> str:
    """Return the selector of *series* on the chosen jobs and instances."""
    return f"{series}{{{','.join([_SELECTOR, *matchers])}}}"


def label_values(metric: Metric | Sequence[Metric], label: str, *matchers: str) -> str:
    """Return the variable query for the values that *label* has, of one *metric* or of several."""
    if isinstance(metric, Metric):
        series = f"{metric.name}{{{','.join(matchers)}}}" if matchers else metric.name
    else:
        names = f'__name__=~"{"|".join(each.name for each in metric)}"'
        series = f"{{{','.join([names, *matchers])}}}"
    return f"label_values({series}, {label})"


def gauge(metric: Metric, *matchers: str) -> str:
    """Return a gauge's values."""
    return _once(metric, select(metric.name, *matchers))


def total(counter: Metric, *matchers: str, by: str = "") -> str:
    """Return a counter's growth per second, summed over all but the labels *by*."""
    growth = f"rate({select(counter.name, *matchers)}[{RATE_INTERVAL}])"
    return f"sum{_by(by)}({_once(counter, growth)})"


def increase(counter: Metric, window: str, *matchers: str, by: str = "") -> str:
    """Return a counter's growth over *window*, summed over all but the labels *by*."""
    return f"sum{_by(by)}({_growth(counter, select(counter.name, *matchers), window)})"


def minutes(seconds: str) -> str:
    """Return a time of minutes and hours, for an axis: in seconds its marks are 1.67 minutes."""
    return f"({seconds}) / {MINUTE}"


def part(each: str, whole: str) -> str:
    """Return the share that *each* series has of *whole*, a sum over all labels."""
    return f"{each} / on () group_left () ({whole} > 0)"


def buckets(histogram: Metric, *matchers: str, by: str = "le", window: str = RATE_INTERVAL) -> str:
    """Return how many observations came into each bucket of a histogram within *window*."""
    series = select(f"{histogram.name}_bucket", *matchers)
    return f"sum{_by(by)}({_growth(histogram, series, window)})"


def quantile(
    share: float, histogram: Metric, *matchers: str, by: str = "", window: str = RATE_INTERVAL
) -> str:
    """Return the value that *share* of a histogram's observations stay under, if there are any."""
    counts = buckets(histogram, *matchers, by=f"le, {by}" if by else "le", window=window)
    # Without observations the quantile is NaN, which a stat would show; the comparison drops it.
    return f"histogram_quantile({share:g}, {counts}) >= 0"


def ratio(part: str, whole: str) -> str:
    """Return *part* over *whole*: 0 where *part* never happened, nothing where *whole* is 0."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def _growth(metric: Metric, series: str, window: str) -> str:
    if metric in EXPORTER_METRICS:
        last = _once(metric, f"last_over_time({series}[{window}])")
        return f"{last} - min by ({_labels(metric)}) (min_over_time({series}[{window}]))"
    return f"increase({series}[{window}])"


def _once(metric: Metric, expression: str) -> str:
    if metric in EXPORTER_METRICS:
        return f"max by ({_labels(metric)}) ({expression})"
    return expression


def _labels(metric: Metric) -> str:
    of_buckets = ("le",) if metric.kind == "histogram" else ()
    return ", ".join((*_JOB_LABELS, *metric.labels, *of_buckets))


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""
