"""Operations between series that can never meet."""

from collections.abc import Iterator, Mapping

from flowgauge.rules import promql
from flowgauge.rules.promql import Aggregation, Binary, Call, Grouping, Node, Selector, String
from flowgauge.rules.vocabulary import Vocabulary

__all__ = ["impossible_joins"]

_NO_SERIES = {"time", "vector", "scalar", "pi"}
_KEEP_LABELS = {
    "rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear", "changes", "resets",
    "abs", "ceil", "floor", "round", "clamp", "clamp_min", "clamp_max", "sqrt", "exp", "ln",
    "avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time",
    "quantile_over_time", "last_over_time", "present_over_time", "sort", "sort_desc", "sgn",
}  # fmt: skip
_KEEP_ALL = {"topk", "bottomk", "limitk", "limit_ratio"}


def impossible_joins(expression: Node, vocabulary: Vocabulary) -> Iterator[str]:
    """Yield a sentence for each join or selector of *expression* that no series can satisfy."""
    for node in expression.walk():
        match node:
            case Selector():
                yield from _selector(node)
            case Binary() if node.operator != "or" and not any(
                map(vocabulary.is_scalar, node.operands)
            ):
                yield from _labels(node, vocabulary)
                yield from _values(node)


def _selector(node: Selector) -> Iterator[str]:
    values: dict[str, str] = {}
    for matcher in (one for one in node.matchers if one.operator == "="):
        if values.setdefault(matcher.label, matcher.value) != matcher.value:
            yield f"{matcher.label} cannot be two things at once in {node}"


def _labels(node: Binary, vocabulary: Vocabulary) -> Iterator[str]:
    if node.matching and node.matching.keyword == "on":
        left, right = map(vocabulary.labels_of, node.operands)
        for label in node.matching.labels:
            if (label in left) is not (label in right):
                side = "right" if label in left else "left"
                yield f"{node.operator} on ({label}): the {side} side never has {label}"
        return
    ours, theirs = (_written(operand, vocabulary) for operand in node.operands)
    if ours is None or theirs is None:
        return
    ignored = node.matching.labels if node.matching else ()
    if more := sorted((ours ^ theirs).difference(ignored)):
        side = "left" if more[0] in ours else "right"
        yield (
            f"{node.operator}: only the {side} side has {more[0]}, so nothing matches: say with "
            "on () or ignoring () what is to match"
        )


def _written(node: Node, vocabulary: Vocabulary) -> frozenset[str] | None:  # noqa: PLR0911 - one for each kind of expression
    """Return the labels that every series of *node* has, as they are written out; else None."""
    match node:
        case Selector():
            return _recorded(node, vocabulary)
        case Aggregation() if node.operator in _KEEP_ALL:
            return _written(node.operands[-1], vocabulary)
        case Aggregation(operator="count_values"):
            return None
        case Aggregation(grouping=None):
            return frozenset()
        case Aggregation(grouping=Grouping(keyword="by", labels=labels)):
            return frozenset(labels)
        case Aggregation(grouping=Grouping(labels=labels)):
            return _less(_written(node.operands[-1], vocabulary), labels)
        case Binary(operator="or"):
            left, right = (_written(operand, vocabulary) for operand in node.operands)
            return left if left == right else None
        case Binary():
            return _joined(node, vocabulary)
        case Call(function=function) if function not in _KEEP_LABELS:
            return None
        case _:
            series = (one for one in node.operands if not vocabulary.is_scalar(one))
            return next((_written(one, vocabulary) for one in series), None)


def _joined(node: Binary, vocabulary: Vocabulary) -> frozenset[str] | None:
    left, right = node.operands
    if vocabulary.is_scalar(left):
        return _written(right, vocabulary)
    if node.operator in {"and", "unless"} or vocabulary.is_scalar(right):
        return _written(left, vocabulary)
    if node.extra is not None:
        many = _written(left if node.extra.keyword == "group_left" else right, vocabulary)
        return None if many is None else many | set(node.extra.labels)
    if node.matching and node.matching.keyword == "on":
        return frozenset(node.matching.labels)
    return _less(_written(left, vocabulary), node.matching.labels if node.matching else ())


def _recorded(node: Selector, vocabulary: Vocabulary) -> frozenset[str] | None:
    match vocabulary.rules(node.metric):
        case [(group, rule)] if node.metric not in rule.expr:
            expression = promql.parse_if_known(rule.expr)
            labels = None if expression is None else _written(expression, vocabulary)
            return None if labels is None else labels | {*rule.labels, *group.labels}
        case _:
            return None


def _less(labels: frozenset[str] | None, gone: tuple[str, ...]) -> frozenset[str] | None:
    return None if labels is None else labels.difference(gone)


def _values(node: Binary) -> Iterator[str]:
    left, right = map(_fixed, node.operands)
    for label in sorted(left.keys() & right.keys()):
        if left[label] != right[label] and _is_matched(node, label):
            yield (
                f"{node.operator}: {label} is {left[label]!r} on the left and {right[label]!r} on "
                "the right, so nothing matches"
            )


def _is_matched(node: Binary, label: str) -> bool:
    if node.matching is None:
        return True
    return (label in node.matching.labels) is (node.matching.keyword == "on")


def _fixed(node: Node) -> Mapping[str, str]:
    """Return the labels whose value is the same in every series of *node*."""
    match node:
        case Selector():
            return {
                one.label: one.value
                for one in node.matchers
                if one.operator == "=" and one.value and one.label != "__name__"
            }
        case Aggregation():
            return _aggregated(node)
        case Call():
            return _called(node)
        case Binary():
            return _combined(node)
        case _:
            return _fixed(node.operands[0]) if node.operands else {}


def _aggregated(node: Aggregation) -> Mapping[str, str]:
    inner = _fixed(node.operands[-1])
    if node.operator in _KEEP_ALL:
        return inner
    if node.grouping is None or node.operator == "count_values":
        return {}
    return _kept(inner, node.grouping.labels, inside=node.grouping.keyword == "by")


def _called(node: Call) -> Mapping[str, str]:
    match node:
        case Call(function=function) if function in _NO_SERIES:
            return {}
        case Call(function="label_replace" | "label_join", operands=(inner, String() as added, *_)):
            return _kept(_fixed(inner), (added.value,), inside=False)
        case Call(operands=()):
            return {}
        case _:
            # Of all others the last operand that is no number holds the series.
            return next(filter(None, map(_fixed, reversed(node.operands))), {})


def _combined(node: Binary) -> Mapping[str, str]:
    left, right = map(_fixed, node.operands)
    if node.operator == "or":
        return {label: value for label, value in left.items() if right.get(label) == value}
    if node.operator in {"and", "unless"}:
        return left
    if node.extra:
        many = left if node.extra.keyword == "group_left" else right
        return _kept(many, node.extra.labels, inside=False)
    if node.matching is None:
        return {**right, **left}
    return _kept(left, node.matching.labels, inside=node.matching.keyword == "on")


def _kept(fixed: Mapping[str, str], names: tuple[str, ...], *, inside: bool) -> Mapping[str, str]:
    return {label: value for label, value in fixed.items() if (label in names) is inside}
