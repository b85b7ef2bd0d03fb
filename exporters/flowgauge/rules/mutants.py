"""Small mistakes made on purpose, one in each mutant of a rule."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

from flowgauge.rules import promql
from flowgauge.rules.durations import parse_duration, write_duration
from flowgauge.rules.files import Rule
from flowgauge.rules.promql import (
    Aggregation,
    Binary,
    Call,
    Grouping,
    Matcher,
    Node,
    Number,
    Parentheses,
    Selector,
    Subquery,
)
from flowgauge.rules.regexes import without_one_branch

__all__ = ["Mutant", "mutants", "siblings"]

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
    "sum": ("max",),
    "avg": ("max",),
    "max": ("min", "sum"),
    "min": ("max",),
    "count": ("sum",),
    "topk": ("bottomk",),
    "bottomk": ("topk",),
}
_ORDERED = {"sum", "max", "min", "avg", "count"}
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


def siblings(names: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """Return which of the recorded *names* is easily written for another.

    They differ in one part of level:metric:operation; of many, the one before and the one after.
    """
    alike: dict[tuple[int, str], list[str]] = {}
    for name in dict.fromkeys(names):
        parts = name.split(":")
        for position in range(len(parts)) if len(parts) > 1 else ():
            others = ":".join([*parts[:position], "", *parts[position + 1 :]])
            alike.setdefault((position, others), []).append(name)
    found: dict[str, list[str]] = {}
    for family in alike.values():
        for before, after in pairwise(family):
            found.setdefault(before, []).append(after)
            found.setdefault(after, []).append(before)
    return found


def mutants(rule: Rule, alike: Mapping[str, Sequence[str]] | None = None) -> Iterator[Mutant]:
    """Yield *rule* with one mistake each, in its expression, a duration or its severity.

    *alike* are the recorded series that could be meant instead, as `siblings` returns them. Not
    every mutant is a fault that a test could find: some are no valid rules, and some mean the same
    as the rule. Raises `FlowgaugeError` if the expression cannot be read.
    """
    expression = promql.parse(rule.expr)
    seen = {str(expression)}
    changes: Counter[str] = Counter()
    for change, changed in _anywhere(expression, alike or {}):
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
            for duration in _resized(parse_duration(value)):
                yield f"{key}: {value} -> {_text(duration)}", {field: _text(duration)}
    if rule.alert and not parse_duration(rule.for_ or "0"):
        yield f"for: {rule.for_ or 'none'} -> 1m", {"for_": "1m"}
    if severity := rule.labels.get("severity"):
        other = "warning" if severity == "critical" else "critical"
        yield f"severity: {severity} -> {other}", {"labels": {**rule.labels, "severity": other}}


def _anywhere(node: Node, alike: Mapping[str, Sequence[str]]) -> Iterator[_Change]:
    """Yield each change, and the whole expression with it."""
    yield from _here(node)
    if isinstance(node, Selector):
        for other in alike.get(node.metric, ()):
            yield f"{node.metric} -> {other}", replace(node, metric=other)
    for position, operand in enumerate(node.operands):
        for change, changed in _anywhere(operand, alike):
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
        for change, other in _branches(matcher):
            yield change, replace(node, matchers=(*before, other, *after))


def _branches(matcher: Matcher) -> Iterator[tuple[str, Matcher]]:
    if matcher.operator in {"=~", "!~"}:
        for branch, rest in without_one_branch(matcher.value):
            yield f"{matcher}: {branch} dropped", replace(matcher, value=rest)


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
    for other in _AGGREGATIONS.get(node.operator, ()):
        yield f"{node.operator} -> {other}", replace(node, operator=other)
    for change, grouping in _groupings(node.grouping):
        yield change, replace(node, grouping=grouping)
    if node.grouping and (node.grouping.keyword == "without" or len(node.grouping.labels) > 1):
        yield f"{node.grouping} dropped".strip(), replace(node, grouping=None)
    yield from _reordered(node)
    yield from _quantiles(node, node.operator)


def _reordered(node: Aggregation) -> Iterator[_Change]:
    """Aggregate first what is aggregated last: the sum of maxima for the maximum of sums."""
    match node.operands:
        case (Aggregation() as inner,) if {node.operator, inner.operator} <= _ORDERED:
            swapped = replace(
                node, operator=inner.operator, operands=(replace(inner, operator=node.operator),)
            )
            yield f"{node.operator} and {inner.operator} swapped", swapped


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
    if node.extra:
        for label in node.extra.labels:
            rest = tuple(one for one in node.extra.labels if one != label)
            dropped = replace(node, extra=replace(node.extra, labels=rest))
            yield f"{node.extra}: {label} dropped".strip(), dropped


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
    others = (duration * 2, duration / 2) if duration else ()
    return tuple(other for other in others if abs(other) >= timedelta(milliseconds=1))


def _text(duration: timedelta | None) -> str:
    return write_duration(duration) if duration else ""
