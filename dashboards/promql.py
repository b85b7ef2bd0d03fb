"""The fragments of PromQL that the dashboards are made of.

Every selector carries `$job` and `$instance`, and every rate `$__rate_interval`, which Grafana
keeps at four scrapes or more: shorter, a late scrape leaves a gap.
https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
"""

from flowgauge.metrics import Metric

__all__ = ["increase", "maximum", "quantile", "rate", "ratio", "select", "total", "values"]

_SELECTOR = 'job=~"$job",instance=~"$instance"'


def select(series: Metric | str, *matchers: str, scope: str = _SELECTOR) -> str:
    """Return the selector of *series*, a metric or the name of one of its series."""
    name = series.name if isinstance(series, Metric) else series
    return f"{name}{{{','.join([scope, *matchers])}}}"


def values(metric: Metric, label: str, *matchers: str, scope: str = _SELECTOR) -> str:
    """Return the variable query for the values that *label* of *metric* has."""
    selector = select(metric, *matchers, scope=scope) if scope or matchers else metric.name
    return f"label_values({selector}, {label})"


def rate(series: Metric | str, *matchers: str) -> str:
    """Return the growth of a counter per second."""
    return f"rate({select(series, *matchers)}[$__rate_interval])"


def total(series: Metric | str, *matchers: str, by: str = "") -> str:
    """Return the growth of a counter per second, summed over all but the labels *by*."""
    return f"sum{_by(by)}({rate(series, *matchers)})"


def increase(series: Metric | str, window: str, *matchers: str, by: str = "") -> str:
    """Return the growth of a counter over *window*, summed over all but the labels *by*."""
    return f"sum{_by(by)}(increase({select(series, *matchers)}[{window}]))"


def maximum(expression: str, by: str = "") -> str:
    """Return the greatest of *expression*."""
    return f"max{_by(by)}({expression})"


def quantile(share: float, histogram: Metric, *matchers: str, by: str = "") -> str:
    """Return the value that *share* of a histogram's observations stay under, if there are any."""
    labels = f"le, {by}" if by else "le"
    buckets = total(f"{histogram.name}_bucket", *matchers, by=labels)
    # Without observations the quantile is NaN, which a stat would show; the comparison drops it.
    return f"histogram_quantile({share:g}, {buckets}) >= 0"


def ratio(part: str, whole: str) -> str:
    """Return *part* over *whole*: 0 where *part* never happened, nothing where *whole* is 0."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""
