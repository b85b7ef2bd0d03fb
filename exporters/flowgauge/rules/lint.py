"""What promtool lets pass, in anybody's rules.

promtool 2.42 accepts a metric or label that does not exist, `$value` in a label (which makes every
evaluation a new alert), the same rule twice, joins that match nothing and windows that hold too few
samples, with `--lint=all --lint-fatal` too.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from flowgauge.errors import FlowgaugeError
from flowgauge.rules import promql
from flowgauge.rules.files import Group, Rule, Source
from flowgauge.rules.findings import Finding
from flowgauge.rules.joins import impossible_joins
from flowgauge.rules.promql import Aggregation, Call, Node, Selector
from flowgauge.rules.templates import labels_shown, shows_value
from flowgauge.rules.vocabulary import Vocabulary
from flowgauge.rules.windows import Timing, window_findings

__all__ = ["lint"]

_Found = Iterator[tuple[str, str]]
_COUNTER_FUNCTIONS = {"rate", "irate", "increase"}


def lint(sources: Sequence[Source], vocabulary: Vocabulary, timing: Timing) -> Iterator[Finding]:
    """Yield what is wrong with the rules in *sources*, which may name what is in *vocabulary*."""
    copies = Counter(_essence(rule) for source in sources for rule in source.file.rules)
    for source in sources:
        for group in source.file.groups:
            for rule in group.rules:
                if copies[_essence(rule)] > 1:
                    sentence = "the same rule is there more than once: leave one"
                    yield Finding(source.path, rule.name, "duplicate", sentence)
                for check, sentence in dict.fromkeys(_findings(rule, group, vocabulary, timing)):
                    yield Finding(source.path, rule.name, check, sentence)


def _essence(rule: Rule) -> tuple[str, ...]:
    """Return what makes up the rule's series: others may well share their name."""
    labels = [f"{label}={value}" for label, value in sorted(rule.labels.items())]
    return (rule.name, " ".join(rule.expr.split()), rule.for_ or "", *labels)


def _findings(rule: Rule, group: Group, vocabulary: Vocabulary, timing: Timing) -> _Found:
    try:
        expression = promql.parse(rule.expr)
    except FlowgaugeError as error:
        yield "promql", str(error)
        return
    yield from _vocabulary(expression, vocabulary)
    yield from (("join", found) for found in impossible_joins(expression, vocabulary))
    yield from window_findings(expression, group, vocabulary, timing)
    if rule.alert:
        yield from _templates(rule, expression, vocabulary)


def _vocabulary(expression: Node, vocabulary: Vocabulary) -> _Found:
    for node in expression.walk():
        match node:
            case Selector():
                yield from _selector(node, vocabulary)
            # To take away what is not there does no harm, and only a closed list tells a slip.
            case Aggregation(grouping=grouping) if grouping and (
                grouping.keyword == "by" or vocabulary.is_closed
            ):
                known = vocabulary.labels_of(node.operands[-1])
                for label in grouping.labels:
                    if label not in known:
                        yield "label", f"{label} is no label of what is aggregated in {node}"
            case Call(function=function, operands=(Selector() as counter,)) if (
                function in _COUNTER_FUNCTIONS and not vocabulary.counts(counter.metric)
            ):
                yield "counter", f"{counter.metric} is no counter, so it has no {function}"


def _selector(selector: Selector, vocabulary: Vocabulary) -> _Found:
    if not selector.metric:
        return
    labels = vocabulary.labels(selector.metric)
    if labels is None:
        yield "metric", f"nothing exports or records {selector.metric}"
        return
    for matcher in selector.matchers:
        if matcher.label not in labels:
            yield "label", f"{matcher.label} is no label of {selector.metric}"


def _templates(rule: Rule, expression: Node, vocabulary: Vocabulary) -> _Found:
    for label, value in rule.labels.items():
        if shows_value(value):
            yield (
                "value",
                f"the label {label} holds $value: every evaluation would be a new alert",
            )
    labels = vocabulary.labels_of(expression)
    for name, text in {**rule.labels, **rule.annotations}.items():
        for label in labels_shown(text):
            if label not in labels:
                yield "template", f"{name} names the label {label}, which the alert does not have"
