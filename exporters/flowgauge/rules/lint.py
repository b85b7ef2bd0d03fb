"""What promtool lets pass, and what every alert of ours must have.

promtool 2.42 accepts an alert without a comparison, a record name without colons, a metric or label
that does not exist, `$value` in a label (which makes every evaluation a new alert) and missing
annotations, with `--lint=all --lint-fatal` too.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from flowgauge.links import Links
from flowgauge.metrics import Metric
from flowgauge.rules import promql
from flowgauge.rules.files import Rule, Source
from flowgauge.rules.promql import Aggregation, Binary, Call, Node, Number, Selector
from flowgauge.rules.vocabulary import Vocabulary

__all__ = ["SEVERITIES", "lint"]

SEVERITIES = ("critical", "warning")
"""`critical` wakes somebody up, `warning` is looked at in working hours."""

# https://prometheus.io/docs/practices/rules/
_RECORD = re.compile(r"[a-z0-9_]+:[a-z0-9_]+:[a-z0-9_]+")
_COMPARISONS = {">", "<", ">=", "<=", "==", "!="}
_ANNOTATIONS = ("summary", "description", "runbook_url", "dashboard_url")
_TEMPLATE_LABEL = re.compile(r"\$labels\.(\w+)")


def lint(sources: Sequence[Source], metrics: Iterable[Metric], links: Links) -> list[str]:
    """Return what is wrong with the rules, one sentence each that names file and rule.

    They may name the *metrics* and what they record themselves, and link to *links*.
    """
    rules = [rule for source in sources for rule in source.file.rules]
    vocabulary = Vocabulary(rules, metrics)
    names = Counter(rule.name for rule in rules)
    return [
        f"{source.path.name}: {rule.name}: {finding}"
        for source in sources
        for rule in source.file.rules
        for finding in _findings(rule, vocabulary, names, links)
    ]


def _findings(
    rule: Rule, vocabulary: Vocabulary, names: Counter[str], links: Links
) -> Iterator[str]:
    if names[rule.name] > 1:
        yield "there are several rules of this name: give each its own"
    expression = promql.parse(rule.expr)
    yield from _vocabulary(expression, vocabulary)
    if rule.alert:
        yield from _alert(rule, expression, vocabulary, links)
    elif not _RECORD.fullmatch(rule.name):
        yield "name it level:metric:operation"


def _vocabulary(expression: Node, vocabulary: Vocabulary) -> Iterator[str]:
    for node in expression.walk():
        match node:
            case Selector():
                yield from _selector(node, vocabulary)
            case Aggregation(grouping=grouping) if grouping:
                known = frozenset().union(*map(vocabulary.labels_of, node.operands))
                for label in grouping.labels:
                    if label not in known:
                        yield f"{label} is no label of what is aggregated in {node}"
            case Call(function="rate" | "irate" | "increase", operands=(Selector() as counter,)):
                if not vocabulary.counts(counter.metric):
                    yield f"{counter.metric} is no counter, so it has no {node.function}"


def _selector(selector: Selector, vocabulary: Vocabulary) -> Iterator[str]:
    labels = vocabulary.labels(selector.metric)
    if labels is None:
        yield f"nothing exports or records {selector.metric or selector}"
        return
    for matcher in selector.matchers:
        if matcher.label not in labels:
            yield f"{matcher.label} is no label of {selector.metric}"


def _alert(rule: Rule, expression: Node, vocabulary: Vocabulary, links: Links) -> Iterator[str]:
    match expression:
        case Binary(operands=(Selector(metric=series, range=None), Number())) if (
            expression.operator in _COMPARISONS and vocabulary.records(series)
        ):
            pass
        case _:
            yield "the expression must be a recorded series, a comparison and a number"
    if rule.for_ is None:
        yield "it has no `for`"
    if rule.labels.get("severity") not in SEVERITIES:
        yield f"its severity must be {' or '.join(SEVERITIES)}"
    for label, value in rule.labels.items():
        if "$value" in value:
            yield f"the label {label} holds $value: every evaluation would be a new alert"
    yield from _annotations(rule, vocabulary.labels_of(expression), links)


def _annotations(rule: Rule, labels: frozenset[str], links: Links) -> Iterator[str]:
    for name in _ANNOTATIONS:
        if not rule.annotations.get(name):
            yield f"it has no {name}"
    for name, value in rule.annotations.items():
        for label in _TEMPLATE_LABEL.findall(value):
            if label not in labels:
                yield f"{name} names the label {label}, which the alert does not have"
    runbook = f"{links.runbooks}/{rule.alert}.md"
    if rule.annotations.get("runbook_url", runbook) != runbook:
        yield f"its runbook_url must be {runbook}"
    dashboards = f"{links.dashboards}/d/"
    if not rule.annotations.get("dashboard_url", dashboards).startswith(dashboards):
        yield f"its dashboard_url must start with {dashboards}"
