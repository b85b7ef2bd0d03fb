"""Small mistakes made on purpose, one in each mutant of a rule."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import promql_parser

from flowgauge.rules import promql
from flowgauge.rules.files import Rule
from flowgauge.rules.promql import (
    Aggregation,
    Binary,
    Call,
    Grouping,
    Node,
    Number,
    Parentheses,
    Selector,
    Subquery,
)

__all__ = ["Mutant", "mutants"]

_COMPARISONS = {
    ">": (">=", "<"),
    "<": ("<=", ">"),
    ">=": (">", "<"),
    "<=": ("<", ">"),
    "==": ("!=",),
    "!=": ("==",),
}
_SETS = {"and": ("unless",), "unless": ("and",), "or": ()}
_ARITHMETIC = {"+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",)}
_OPERATORS: dict[str, tuple[str, ...]] = {**_COMPARISONS, **_SETS, **_ARITHMETIC}
_COMMUTATIVE = {"+", "*", "==", "!="}
_MATCHERS = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
_AGGREGATIONS = {
    "sum": "max",
    "avg": "max",
    "max": "min",
    "min": "max",
    "count": "sum",
    "topk": "bottomk",
    "bottomk": "topk",
}
_FUNCTIONS = {
    "rate": "increase",
    "irate": "rate",
    "increase": "rate",
    "sum_over_time": "avg_over_time",
    "avg_over_time": "max_over_time",
    "max_over_time": "min_over_time",
    "min_over_time": "max_over_time",
    "count_over_time": "sum_over_time",
}
_GROUPINGS = {"by": "without", "without": "by", "on": "ignoring", "ignoring": "on"}
_QUANTILES = {"histogram_quantile", "quantile", "quantile_over_time"}

_Change = tuple[str, Node]


@dataclass(frozen=True)
class Mutant:
    """A rule with one mistake; `change` says which, and is unique among the rule's mutants."""

    original: Rule
    change: str
    rule: Rule


def mutants(rule: Rule) -> Iterator[Mutant]:
    """Yield *rule* with one mistake each, in its expression, a duration or its severity.

    Not every one is a fault that a test could find: some are no valid rules, and some mean the same
    as the rule.
    """
    expression = promql.parse(rule.expr)
    seen = {str(expression)}
    changes: Counter[str] = Counter()
    for change, changed in _anywhere(expression):
        if str(changed) not in seen:
            seen.add(str(changed))
            changes[change] += 1
            nth = f" ({changes[change]})" if changes[change] > 1 else ""
            yield Mutant(rule, change + nth, rule.model_copy(update={"expr": str(changed)}))
    for change, update in _fields(rule):
        yield Mutant(rule, change, rule.model_copy(update=update))


def _fields(rule: Rule) -> Iterator[tuple[str, dict[str, object]]]:
    for field, key in (("for_", "for"), ("keep_firing_for", "keep_firing_for")):
        if value := getattr(rule, field):
            for duration in _resized(promql_parser.parse_duration(value)):
                yield f"{key}: {value} -> {_text(duration)}", {field: _text(duration)}
    if severity := rule.labels.get("severity"):
        other = "warning" if severity == "critical" else "critical"
        yield f"severity: {severity} -> {other}", {"labels": {**rule.labels, "severity": other}}


def _anywhere(node: Node) -> Iterator[_Change]:
    """Yield each change, and the whole expression with it."""
    yield from _here(node)
    for position, operand in enumerate(node.operands):
        for change, changed in _anywhere(operand):
            before, after = node.operands[:position], node.operands[position + 1 :]
            yield change, replace(node, operands=(*before, changed, *after))


def _here(node: Node) -> Iterator[_Change]:
    match node:
        case Number():
            yield from _numbers(node)
        case Selector():
            yield from _selectors(node)
            yield from _durations(node)
        case Subquery():
            yield from _durations(node)
        case Call():
            yield from _calls(node)
        case Aggregation():
            yield from _aggregations(node)
        case Binary():
            yield from _binaries(node)


def _numbers(node: Number) -> Iterator[_Change]:
    others = (node.value * 1.1, node.value / 1.1) if node.value else (1.0, -1.0)
    for other in map(Number, others):
        yield f"{node} -> {other}", other


def _selectors(node: Selector) -> Iterator[_Change]:
    for position, matcher in enumerate(node.matchers):
        before, after = node.matchers[:position], node.matchers[position + 1 :]
        if node.metric or before or after:
            yield f"{matcher} dropped", replace(node, matchers=(*before, *after))
        negated = replace(matcher, operator=_MATCHERS[matcher.operator])
        yield f"{matcher} -> {negated}", replace(node, matchers=(*before, negated, *after))


def _durations(node: Selector | Subquery) -> Iterator[_Change]:
    for other in _resized(node.range):
        yield f"[{_text(node.range)}] -> [{_text(other)}]", replace(node, range=other)
    for other in _resized(node.offset):
        yield f"offset {_text(node.offset)} -> {_text(other)}", replace(node, offset=other)


def _calls(node: Call) -> Iterator[_Change]:
    if other := _FUNCTIONS.get(node.function):
        yield f"{node.function} -> {other}", replace(node, function=other)
    yield from _quantiles(node, node.function)


def _aggregations(node: Aggregation) -> Iterator[_Change]:
    if other := _AGGREGATIONS.get(node.operator):
        yield f"{node.operator} -> {other}", replace(node, operator=other)
    for change, grouping in _groupings(node.grouping):
        yield change, replace(node, grouping=grouping)
    yield from _quantiles(node, node.operator)


def _quantiles(node: Call | Aggregation, name: str) -> Iterator[_Change]:
    """Move a quantile twice as far from 1 as it is, and half as far."""
    match node.operands:
        case (Number(value=quantile), *rest) if name in _QUANTILES:
            for distance in (2 * (1 - quantile), (1 - quantile) / 2):
                other = Number(1 - distance)
                yield f"quantile {quantile:g} -> {other}", replace(node, operands=(other, *rest))


def _groupings(grouping: Grouping | None) -> Iterator[tuple[str, Grouping]]:
    if grouping is None:
        return
    other = replace(grouping, keyword=_GROUPINGS[grouping.keyword])
    yield f"{grouping} ->{other}".strip(), other
    for label in grouping.labels:
        labels = tuple(one for one in grouping.labels if one != label)
        yield f"{grouping}: {label} dropped".strip(), replace(grouping, labels=labels)


def _binaries(node: Binary) -> Iterator[_Change]:
    left, right = node.operands
    for other in _OPERATORS.get(node.operator, ()):
        # Those that are exchanged bind alike: no parentheses are needed.
        yield f"{node.operator} -> {other}", replace(node, operator=other)
    yield from _without_guard(node)
    if node.operator not in _COMMUTATIVE and not _compares_with_number(node):
        swapped = replace(node, operands=(_wrapped(right), _wrapped(left)))
        yield f"operands of {node.operator} swapped", swapped
    for change, grouping in _groupings(node.matching):
        yield change, replace(node, matching=grouping)


def _without_guard(node: Binary) -> Iterator[_Change]:
    left, right = node.operands
    if node.operator in _COMPARISONS or node.operator in _SETS:
        guard = right if isinstance(right, Number) else "…"
        yield f"{node.operator} {guard} dropped", left
    if node.operator == "or":
        yield "… or dropped", right


def _compares_with_number(node: Binary) -> bool:
    return node.operator in _COMPARISONS and any(isinstance(one, Number) for one in node.operands)


def _wrapped(node: Node) -> Node:
    return Parentheses(operands=(node,)) if isinstance(node, Binary) else node


def _resized(duration: timedelta | None) -> tuple[timedelta, ...]:
    return (duration * 2, duration / 2) if duration else ()


def _text(duration: timedelta | None) -> str:
    return promql_parser.display_duration(duration) if duration else ""
