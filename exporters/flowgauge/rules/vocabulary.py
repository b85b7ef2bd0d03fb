"""Which series there are, and which labels they and expressions over them can have."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from flowgauge.errors import UsageError
from flowgauge.foreign import read_text
from flowgauge.metrics import Metric
from flowgauge.redact import quote
from flowgauge.rules import promql
from flowgauge.rules.files import Group, Rule
from flowgauge.rules.labels import ANY, Labels
from flowgauge.rules.promql import Aggregation, Binary, Call, Node, Selector, String

__all__ = ["TARGET_LABELS", "Known", "Vocabulary", "of_metrics", "of_page"]

TARGET_LABELS = frozenset(
    {"job", "instance", "pod", "environment", "cluster", "namespace", "service", "node"}
)
"""What scrape configurations and Prometheus' operator add, and `external_labels` elsewhere."""

# What MLflow's own --expose-prometheus adds to what flowgauge exports.
_STOCK_SERVER = (
    Metric("mlflow_http_request_total", "counter", "HTTP requests.", ("method", "status")),
    Metric(
        "mlflow_http_request_duration_seconds",
        "histogram",
        "Duration of HTTP requests.",
        ("method", "status", "mlflow_version"),
    ),
)
# What Prometheus itself adds to every scrape, or makes of the rules.
_PROMETHEUS = {
    "up": Labels(),
    "scrape_duration_seconds": Labels(),
    "scrape_samples_scraped": Labels(),
    "scrape_samples_post_metric_relabeling": Labels(),
    "scrape_series_added": Labels(),
    "ALERTS": ANY,
    "ALERTS_FOR_STATE": ANY,
}
_KEEP_ALL = {"topk", "bottomk", "limitk", "limit_ratio"}
_SCALARS = {"time", "scalar", "pi"}
_SAME_COUNTERS = {"sum", "max", "min"}


@dataclass(frozen=True)
class Known:
    """Series that are exported, with the labels they can have, and which of them only grow."""

    labels: Mapping[str, Labels]
    counters: frozenset[str]

    def __or__(self, other: "Known") -> "Known":
        both = {
            series: self.labels.get(series, Labels()) | other.labels.get(series, Labels())
            for series in {**self.labels, **other.labels}
        }
        return Known(both, self.counters | other.counters)


def of_metrics(metrics: Iterable[Metric]) -> Known:
    """Return the series of the *metrics*, and those of a stock MLflow."""
    labels: dict[str, Labels] = {}
    counters: set[str] = set()
    for metric in (*metrics, *_STOCK_SERVER):
        for series in metric.series:
            bucket = {"le"} if series.endswith("_bucket") else set()
            named = Labels.of({*TARGET_LABELS, *metric.labels, *bucket})
            labels[series] = labels.get(series, Labels()) | named
            if metric.kind != "gauge":
                counters.add(series)
    return Known(labels, frozenset(counters))


def of_page(path: Path) -> Known:
    """Return the series on a saved /metrics page, in the text format.

    The labels of `up` there, if it is on the page, are what the scrape configuration adds to all.
    Raises `UsageError` for a file that is no such page.
    """
    labels: dict[str, Labels] = {}
    counters: set[str] = set()
    try:
        families = list(text_string_to_metric_families(read_text(path)))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, IndexError) as error:
        wrong = quote(str(error))
        raise UsageError(f"{path} is no metrics page in Prometheus' text format: {wrong}") from None
    for family in families:
        for sample in family.samples:
            named = Labels.of(sample.labels)
            labels[sample.name] = labels.get(sample.name, Labels()) | named
            if family.type != "gauge":
                counters.add(sample.name)
    added = labels.get("up", Labels()) | Labels.of(TARGET_LABELS)
    return Known({series: named | added for series, named in labels.items()}, frozenset(counters))


class Vocabulary:
    """The series that are *known* to be exported, and those that the rules in *groups* record.

    If none are *known*, every other series may be there, with any labels.
    """

    def __init__(self, groups: Iterable[Group], known: Known | None) -> None:
        self._known = known
        self._rules: dict[str, list[tuple[Group, Rule]]] = {}
        for group in groups:
            for rule in group.rules:
                if rule.record:
                    self._rules.setdefault(rule.record, []).append((group, rule))
        self._recorded: dict[str, Labels] = {}

    @property
    def is_closed(self) -> bool:
        """Whether there is nothing beside what is known."""
        return self._known is not None

    def records(self, series: str) -> bool:
        """Return whether a rule records *series*."""
        return series in self._rules

    def rules(self, series: str) -> Sequence[tuple[Group, Rule]]:
        """Return the rules that record *series*, each with its group."""
        return self._rules.get(series, ())

    def counts(self, series: str) -> bool:
        """Return whether *series* may be one that only grows, so that it has a rate."""
        if self._known is None:
            return True
        if series not in self._rules:
            return series in self._known.counters
        expressions = (promql.parse_if_known(rule.expr) for _, rule in self._rules[series])
        return all(one is None or self._grows(one) for one in expressions)

    def labels(self, series: str) -> Labels | None:
        """Return the labels that *series* can have, None if there is no such series."""
        if series in self._rules:
            return self._recorded_labels(series)
        if self._known is None:
            return ANY
        if series in _PROMETHEUS:
            return _PROMETHEUS[series] | Labels.of(TARGET_LABELS)
        return self._known.labels.get(series)

    def labels_of(self, node: Node) -> Labels:
        """Return the labels that the result of *node* can have."""
        match node:
            case Selector(metric=""):
                return ANY
            case Selector():
                return self.labels(node.metric) or Labels()
            case Aggregation():
                return self._aggregated(node)
            case Binary():
                return self._combined(node)
            case Call():
                return self._called(node)
            case _:
                return self._all_of(node)

    def is_scalar(self, node: Node) -> bool:
        """Return whether the result of *node* is one number, not series."""
        match node:
            case Selector() | Aggregation() | promql.Subquery() | String():
                return False
            case Call():
                return node.function in _SCALARS
            case _:
                return all(map(self.is_scalar, node.operands))

    def _recorded_labels(self, series: str) -> Labels:
        if series not in self._recorded:
            self._recorded[series] = Labels()  # ends a circle of rules
            found = Labels()
            for group, rule in self._rules[series]:
                expression = promql.parse_if_known(rule.expr)
                found |= ANY if expression is None else self.labels_of(expression)
                found |= Labels.of({*rule.labels, *group.labels})
            self._recorded[series] = found
        return self._recorded[series]

    def _grows(self, node: Node) -> bool:
        match node:
            case Selector(range=None):
                return self.counts(node.metric)
            case promql.Parentheses() | Binary(operator="or"):
                return all(map(self._grows, node.operands))
            case Aggregation(operator=operator) if operator in _SAME_COUNTERS:
                return all(map(self._grows, node.operands))
            case Call(function="max_over_time", operands=(Selector() as inner,)):
                return self.counts(inner.metric)
            case _:
                return False

    def _all_of(self, node: Node) -> Labels:
        return reduce(Labels.__or__, map(self.labels_of, node.operands), Labels())

    def _aggregated(self, node: Aggregation) -> Labels:
        inner = self._all_of(node)
        if node.operator in _KEEP_ALL:
            return inner
        match node:
            case Aggregation(operator="count_values", operands=(String(value=added), *_)):
                more = Labels.of({added})
            case _:
                more = Labels()
        match node.grouping:
            case None:
                return more
            case grouping if grouping.keyword == "by":
                return inner.only(grouping.labels) | more
            case grouping:
                return inner.without(grouping.labels) | more

    def _combined(self, node: Binary) -> Labels:
        left, right = map(self.labels_of, node.operands)
        match node:
            case Binary(operator="or"):
                return left | right
            # A number has no labels, and does not take any away.
            case Binary(operands=(number, _)) if self.is_scalar(number):
                return right
            case Binary(operator="and" | "unless"):
                return left
            case Binary(operands=(_, number)) if self.is_scalar(number):
                return left
            case Binary(extra=promql.Grouping(keyword=keyword, labels=taken)):
                many, one = (left, right) if keyword == "group_left" else (right, left)
                return many | one.only(taken)
            case _:
                return self._matched(node, left, right)

    @staticmethod
    def _matched(node: Binary, left: Labels, right: Labels) -> Labels:
        if node.matching is None:
            return left.both(right)
        matched = node.matching.labels
        return left.only(matched) if node.matching.keyword == "on" else left.without(matched)

    def _called(self, node: Call) -> Labels:
        match node:
            case Call(function="time" | "vector" | "scalar" | "pi"):
                return Labels()
            case Call(function="absent" | "absent_over_time", operands=(inner,)):
                matchers = inner.matchers if isinstance(inner, Selector) else ()
                return Labels.of(one.label for one in matchers if one.operator == "=")
            case Call(function="info"):
                return ANY
            case Call(function="histogram_quantile"):
                return self._all_of(node).without({"le"})
            case Call(
                function="label_replace" | "label_join", operands=(_, String(value=added), *_)
            ):
                return self._all_of(node) | Labels.of({added})
            case _:
                return self._all_of(node)
