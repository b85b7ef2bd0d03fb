"""Ranges and offsets against how often there is a sample, and how long it is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from flowgauge.rules.durations import parse_duration, write_duration
from flowgauge.rules.files import Group
from flowgauge.rules.promql import Call, Node, Selector, Subquery
from flowgauge.rules.vocabulary import Vocabulary

__all__ = ["Timing", "window_findings"]

_NEED_TWO = {
    "rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear", "changes", "resets",
}  # fmt: skip
_LOOKBACK = timedelta(minutes=5)


@dataclass(frozen=True)
class Timing:
    """How often targets are scraped and how long samples are kept, if that is known."""

    scrape_interval: timedelta | None = None
    retention: timedelta | None = None


def window_findings(
    expression: Node, group: Group, vocabulary: Vocabulary, timing: Timing
) -> Iterator[tuple[str, str]]:
    """Yield the check and a sentence for each window of *expression* that holds too little."""
    for node in expression.walk():
        match node:
            case (
                Call(operands=(*_, Selector(range=timedelta()) as selector))
                | Call(operands=(Selector(range=timedelta()) as selector, *_))
            ):
                yield from _range(node, selector, vocabulary, timing)
            case Selector():
                yield from _interval(node, group, vocabulary, timing)
    if timing.retention is not None and (reach := _reach(expression)) > timing.retention:
        kept = write_duration(timing.retention)
        yield "retention", f"it looks back {write_duration(reach)}, and samples are kept for {kept}"


def _range(
    node: Call, selector: Selector, vocabulary: Vocabulary, timing: Timing
) -> Iterator[tuple[str, str]]:
    every = _every(selector, vocabulary, timing)
    if every is None or selector.range is None:
        return
    needed = 2 * every if node.function in _NEED_TWO else every
    if selector.range < needed:
        samples = "two samples" if node.function in _NEED_TWO else "a sample"
        sentence = (
            f"{node.function} needs {samples}, and there is one every {write_duration(every)}: "
            f"[{write_duration(selector.range)}] must be {write_duration(needed)} or more"
        )
        yield "range", sentence


def _interval(
    selector: Selector, group: Group, vocabulary: Vocabulary, timing: Timing
) -> Iterator[tuple[str, str]]:
    every = _every(selector, vocabulary, timing)
    if every is None:
        return
    sampled = f"{selector.metric} has a sample every {write_duration(every)}"
    if selector.offset is not None and timedelta() < selector.offset < every:
        offset = write_duration(selector.offset)
        yield "interval", f"{sampled}: offset {offset} often finds the one that is there now"
    elsewhere = group not in [one for one, _ in vocabulary.rules(selector.metric)]
    if selector.range is None and every > _LOOKBACK and elsewhere:
        lookback = write_duration(_LOOKBACK)
        yield "interval", f"{sampled}: it is gone in between, as Prometheus looks back {lookback}"


def _every(selector: Selector, vocabulary: Vocabulary, timing: Timing) -> timedelta | None:
    """Return how often the selected series has a sample, None if that is not known."""
    groups = [group for group, _ in vocabulary.rules(selector.metric)]
    if not groups:
        return timing.scrape_interval if selector.metric else None
    intervals = [parse_duration(group.interval) for group in groups if group.interval]
    return min(intervals) if len(intervals) == len(groups) else None


def _reach(node: Node) -> timedelta:
    """Return how far *node* looks back."""
    inner = max(map(_reach, node.operands), default=timedelta())
    match node:
        case Selector() | Subquery():
            own = (node.range or timedelta()) + (node.offset or timedelta())
            return inner + max(own, timedelta())
        case _:
            return inner
