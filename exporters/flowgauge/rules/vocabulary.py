"""Which series there are, and which labels they and expressions over them can have."""

from collections.abc import Iterable, Mapping
from functools import cached_property

from flowgauge.metrics import Metric
from flowgauge.rules import promql
from flowgauge.rules.files import Rule
from flowgauge.rules.promql import Aggregation, Binary, Call, Node, Selector, String

__all__ = ["TARGET_LABELS", "Vocabulary"]

TARGET_LABELS = frozenset({"job", "instance", "pod"})
"""What the scrape configuration adds; `pod` where Kubernetes is asked for the targets."""

# What MLflow's own --expose-prometheus and Prometheus itself add to what flowgauge exports.
_OTHERS = (
    Metric("up", "gauge", "1 if the scrape succeeded, else 0."),
    Metric("mlflow_http_request_total", "counter", "HTTP requests.", ("method", "status")),
    Metric(
        "mlflow_http_request_duration_seconds",
        "histogram",
        "Duration of HTTP requests.",
        ("method", "status", "mlflow_version"),
    ),
)
_SET_OPERATORS = {"and", "unless", "or"}


class Vocabulary:
    """The series of the *metrics* that are exported, and those that *rules* record."""

    def __init__(self, rules: Iterable[Rule], metrics: Iterable[Metric]) -> None:
        self._metrics = (*metrics, *_OTHERS)
        self._records = {rule.record: rule for rule in rules if rule.record}
        self._recorded: dict[str, frozenset[str]] = {}

    def records(self, series: str) -> bool:
        """Return whether a rule records *series*."""
        return series in self._records

    def counts(self, series: str) -> bool:
        """Return whether *series* only grows, so that it has a rate."""
        return series in self._counters

    def labels(self, series: str) -> frozenset[str] | None:
        """Return the labels that *series* can have, None if there is no such series."""
        rule = self._records.get(series)
        if rule is None:
            return self._scraped.get(series)
        if series not in self._recorded:
            self._recorded[series] = frozenset()  # ends a circle of rules
            found = self.labels_of(promql.parse(rule.expr))
            self._recorded[series] = found | set(rule.labels)
        return self._recorded[series]

    def labels_of(self, node: Node) -> frozenset[str]:
        """Return the labels that the result of *node* can have."""
        match node:
            case Selector():
                return self.labels(node.metric) or frozenset()
            case Aggregation():
                return self._aggregated(node)
            case Binary():
                return self._combined(node)
            case Call():
                return self._called(node)
            case _:
                return self._all_of(node)

    def _all_of(self, node: Node) -> frozenset[str]:
        return frozenset().union(*map(self.labels_of, node.operands))

    def _aggregated(self, node: Aggregation) -> frozenset[str]:
        match node.grouping:
            case None:
                return frozenset()
            case grouping if grouping.keyword == "by":
                return self._all_of(node) & set(grouping.labels)
            case grouping:
                return self._all_of(node) - set(grouping.labels)

    def _combined(self, node: Binary) -> frozenset[str]:
        left, right = map(self.labels_of, node.operands)
        if node.operator == "or" or node.extra is not None:
            return left | right
        if node.operator in _SET_OPERATORS or node.matching is None:
            # A number has no labels, and does not take any away.
            return left or right
        matched = set(node.matching.labels)
        return left & matched if node.matching.keyword == "on" else left - matched

    def _called(self, node: Call) -> frozenset[str]:
        match node:
            case Call(function="time" | "vector" | "scalar"):
                return frozenset()
            case Call(function="absent" | "absent_over_time", operands=(Selector() as selector,)):
                return frozenset(one.label for one in selector.matchers if one.operator == "=")
            case Call(function="histogram_quantile"):
                return self._all_of(node) - {"le"}
            case Call(
                function="label_replace" | "label_join", operands=(_, String(value=added), *_)
            ):
                return self._all_of(node) | {added}
            case _:
                return self._all_of(node)

    @cached_property
    def _scraped(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for metric in self._metrics:
            for series in metric.series:
                bucket = {"le"} if series.endswith("_bucket") else set()
                labels = TARGET_LABELS | set(metric.labels) | bucket
                found[series] = found.get(series, frozenset()) | labels
        return found

    @cached_property
    def _counters(self) -> frozenset[str]:
        return frozenset(
            series for metric in self._metrics if metric.kind != "gauge" for series in metric.series
        )
