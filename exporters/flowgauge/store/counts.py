"""Counts: what tasks counted, as rows of a name, labels and a value.

Which rows there are is said by `flowgauge.metrics`: a counter is a row that is added to, a gauge
one that holds the newest value, a histogram a row for each bucket and one for the sum. No engine
knows any of them.
"""

import bisect
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate
from typing import Literal, NamedTuple

from flowgauge.metrics import Metric
from flowgauge.store.engine import Step, microseconds, reading

__all__ = [
    "Change",
    "Count",
    "Counts",
    "Row",
    "Totals",
    "as_json",
    "changes",
    "changes_json",
    "owner_of",
]

# The labels that say whose count it is; the others (reason, a bucket's bound) tell the counts of
# one owner apart. A metric has them in this order, before all others.
_OWNER_LABELS = ("dag_id", "task_id", "key")

# Owners read in one step: few enough that it holds up nobody else for longer than milliseconds.
_PAGE = 100
# Every engine takes it; whatever lies beyond, somebody else wrote.
_LAST_PLACE = 2**53

How = Literal["add", "set", "now"]
Row = tuple[str, How, float]


class Count(NamedTuple):
    """Something to count under *labels*, the values of the metric's labels.

    *value* is added to a counter, replaces a gauge, and is one observation of a histogram. None is
    the time on the store's clock.
    """

    metric: Metric
    labels: tuple[str, ...]
    value: float | None = 1.0


class Totals(NamedTuple):
    """All that was ever counted for one owner, whose names are *labels*.

    *place* is its place in the order in which owners of its kind came, from 0, which it keeps.
    *seen* is when it last counted anything. *values* are by the name of a sample and the values of
    its other labels.
    """

    labels: tuple[str, ...]
    place: int
    seen: float
    values: Mapping[tuple[str, ...], float]

    def of(self, metric: Metric, *others: str) -> float | None:
        """Return the value of a counter or gauge, None if it never had one."""
        return self.values.get((metric.name, *others))

    def histogram(self, metric: Metric) -> tuple[Sequence[float], float]:
        """Return the cumulative counts up to each bound and to infinity, and the sum."""
        bounds = (*metric.buckets, math.inf)
        buckets, sum_, _ = metric.series
        counts = [0.0] * len(bounds)
        for (name, *others), value in self.values.items():
            if name == buckets and len(others) == 1:
                with suppress(ValueError):
                    counts[bisect.bisect_left(bounds, float(others[0]))] += value
        return list(accumulate(counts)), self.values.get((sum_,), 0.0)


class Counts:
    """The counts of one store; every method is one atomic step, and one round trip."""

    def __init__(self, do: Step) -> None:
        self._do = do

    def add(self, *counts: Count) -> None:
        """Count."""
        self._do("add", changes_json(counts))

    def page(self, kind: str, after: int, limit: int) -> Sequence[Totals]:
        """Return the first *limit* owners of a *kind* whose place is beyond *after*, in order.

        A kind of owner is the names of its labels, as in `dag_id,task_id`.
        """
        found = self._do("page", kind, after, limit)
        try:
            # At once, which is faster by half.
            owners = json.loads(f"[{','.join(owner for owner, *_ in found)}]")
            return [
                _read_totals(labels, int(place), int(seen_us) / 1e6, values)
                for labels, (_, place, seen_us, values) in zip(owners, found, strict=True)
            ]
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            with reading("page"):
                return [_read_what_is_right(len(kind.split(",")), *each) for each in found]

    def totals(self, *owner_labels: str) -> Iterator[Totals]:
        """Yield what was counted for every owner with these labels, in the order they came.

        It is read page by page, so that a large store answers others in between.
        """
        last = -1
        while page := self.page(",".join(owner_labels), last, _PAGE):
            yield from page
            place = min(page[-1].place, _LAST_PLACE)
            if place <= last:
                # No store of ours answers so; whoever does would never end.
                return
            last = place

    def fold(self, kind: str, totals: Totals, other: "Change") -> bool:
        """Remove an owner and make the change of the *other*; return whether that was done.

        It is not if the owner counted anything since its *totals* were read. Its place is given to
        the next owner that is new.
        """
        owner = json.dumps(totals.labels)
        # Somebody else may have written that it was seen before time began.
        seen = microseconds(max(totals.seen, 0.0))
        return bool(self._do("fold", kind, owner, seen, as_json([other])))


def owner_of(metric: Metric) -> tuple[str, ...]:
    """Return the names of the labels that say whose count of *metric* it is."""
    return tuple(label for label in metric.labels if label in _OWNER_LABELS)


class Change(NamedTuple):
    """What one step changes of one owner: its *rows* are a field, how it changes, and a value.

    `add` adds the value to the field, `set` replaces it, `now` sets it to the store's time. *owner*
    and the fields are opaque to an engine.
    """

    kind: str
    owner: str
    rows: Sequence[Row]


def changes(counts: Sequence[Count]) -> list[Change]:
    """Return what *counts* change, always in the same order: who locks rows locks them in turn."""
    by_owner: dict[tuple[str, tuple[str, ...]], dict[tuple[str, How], float]] = defaultdict(dict)
    for count in counts:
        names = owner_of(count.metric)
        owner, others = count.labels[: len(names)], count.labels[len(names) :]
        rows = by_owner[",".join(names), owner]
        for name, further, how, value in _rows(count):
            field = json.dumps((name, *others, *further))
            rows[field, how] = value + (rows.get((field, how), 0.0) if how == "add" else 0.0)
    return [
        Change(kind, json.dumps(owner), [(*row, value) for row, value in sorted(rows.items())])
        for (kind, owner), rows in sorted(by_owner.items())
    ]


def changes_json(counts: Sequence[Count]) -> str:
    """Return the same as text."""
    return as_json(changes(counts))


def as_json(changed: Sequence[Change]) -> str:
    """Return changes as text: `[[kind, owner, [[field, how, value]]]]`.

    Values are strings, which no reader rounds.
    """
    return json.dumps(
        [
            (each.kind, each.owner, [(field, how, repr(value)) for field, how, value in each.rows])
            for each in changed
        ]
    )


def _read_totals(
    labels: Sequence[str], place: int, seen: float, values: Mapping[str, float | str]
) -> Totals:
    """Return what an engine kept of an owner under its fields."""
    return Totals(
        tuple(labels),
        place,
        seen,
        {_read_field(field): float(value) for field, value in values.items()},
    )


def _rows(count: Count) -> Iterator[tuple[str, tuple[str, ...], How, float]]:
    """Yield name, further labels, way and value of each row that *count* changes."""
    metric, value = count.metric, count.value
    if value is None:
        yield metric.name, (), "now", 0.0
    elif metric.kind == "histogram":
        bounds = (*metric.buckets, math.inf)
        buckets, sum_, _ = metric.series
        yield buckets, (repr(bounds[bisect.bisect_left(bounds, value)]),), "add", 1.0
        yield sum_, (), "add", float(value)
    else:
        yield metric.name, (), "add" if metric.kind == "counter" else "set", float(value)


def _read_what_is_right(
    number: int, owner: str, place: int, seen_us: int, values: Mapping[str, float | str]
) -> Totals:
    """Return the same where somebody else wrote too, without what nobody can read.

    An owner that cannot be read is one of *number* empty labels: the list goes on behind its place.
    """
    labels = [""] * number
    with suppress(ValueError, TypeError, RecursionError):
        read = json.loads(owner)
        if len(read) == number and all(isinstance(label, str) for label in read):
            labels = read
    right: dict[tuple[str, ...], float] = {}
    for field, value in values.items() if any(labels) else ():
        with suppress(ValueError, TypeError, OverflowError, RecursionError):
            right.update(_read_totals((), 0, 0.0, {field: value}).values)
    return Totals(tuple(labels), _whole(place), _whole(seen_us) / 1e6, right)


@lru_cache(maxsize=4096)
def _read_field(field: str) -> tuple[str, ...]:
    read = tuple(json.loads(field))
    if not read or not all(isinstance(each, str) for each in read):
        raise ValueError("not the name of a sample and the values of labels")
    return read


def _whole(found: object) -> int:
    """Return the number that an engine found; what is none, or not whole, somebody else wrote.

    It is rounded up: the list of owners goes on behind their places.
    """
    try:
        return math.ceil(float(str(found)))
    except (ValueError, OverflowError):
        return 0
