"""Going through the known runs, a few at a time, for what leaves no new time behind.

To tell of a run takes MLflow a millisecond or more, to leave one out that is named a tenth of it.
So what is known is named, and only the difference is asked for.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from flowgauge.exporter.runs.run import RUNNING, Run
from flowgauge.exporter.runs.search import RunSearch

__all__ = [
    "RECENT",
    "STALE",
    "Change",
    "Missing",
    "Review",
    "Round",
    "RunList",
    "Trash",
    "Unfinished",
]

# How many runs a question names at most, and how many it is told of at least.
_NAMED = 250
_LEAST = 50

Known = Mapping[str, Run]


@dataclass(frozen=True)
class Change:
    """Runs as they are now, and those that do not count, or not any more."""

    found: Sequence[Run] = ()
    gone: Sequence[Run] = ()


class Review(Protocol):
    """One of the ways to go through what is known; once through, it begins anew."""

    def step(self, search: RunSearch, known: Known, day: int) -> Change:
        """Ask one question at most; *day* is when the last day began, in milliseconds.

        Raises `TrackingError`.
        """


class Round(Review, Protocol):
    """A review that counts: until it was through, once, there may be more than is known."""

    complete: bool

    def start_again(self) -> None:
        """Begin anew with the newest, and be not complete before it was through."""


@dataclass(frozen=True)
class RunList:
    """A list of runs: how to ask MLflow for it by *day*, and whether a run is in it."""

    condition: Callable[[int], str]
    has: Callable[[Run, int], bool]


RECENT = RunList(
    lambda day: f"attributes.start_time >= {day}", lambda run, day: run.start_ms >= day
)
STALE = RunList(
    lambda day: f"attributes.status = '{RUNNING}' AND attributes.start_time < {day}",
    lambda run, day: run.status == RUNNING and run.start_ms < day,
)


@dataclass
class Missing:
    """Finds runs of a list that are not known, among the newest *limit* of it.

    At first that is all of them. `limited` if there may be more.
    """

    of: RunList
    limit: int
    page_seconds: float
    complete: bool = False
    limited: bool = False
    _until: float = math.inf

    def start_again(self) -> None:
        """See `Round`."""
        self.complete = False
        self._until = math.inf

    def step(self, search: RunSearch, known: Known, day: int) -> Change:
        """See `Review`."""
        listed = self._newest_first(known.values(), day)
        full = len(listed) >= self.limit
        ahead = [run for run in listed if run.start_ms <= self._until]
        named, older = ahead[:_NAMED], ahead[_NAMED:]
        conditions = [self.of.condition(day)]
        if self._until < math.inf:
            conditions.append(f"attributes.start_time <= {self._until}")
        if older or full:
            down_to = (named if older else listed)[-1].start_ms
            conditions.append(f"attributes.start_time >= {down_to}")
        if named:
            conditions.append(f"attributes.run_id NOT IN {_ids(named)}")
        found = search.find(*conditions, most=search.portion(self.page_seconds, _LEAST))
        if found.limited or older:
            down_to = (found.runs if found.limited else named)[-1].start_ms
            # More runs began in one millisecond than it names, and all that came are known.
            stuck = down_to == self._until and all(run.run_id in known for run in found.runs)
            self._until = down_to - 1 if stuck else down_to
        else:
            self._end(limited=full)
        together = {run.run_id: run for run in chain(listed, found.runs)}
        beyond = self._newest_first(together.values(), day)[self.limit :]
        if beyond:
            self._end(limited=True)
        return Change(found.runs, beyond)

    def _newest_first(self, runs: Iterable[Run], day: int) -> Sequence[Run]:
        return sorted((run for run in runs if self.of.has(run, day)), key=_place, reverse=True)

    def _end(self, *, limited: bool) -> None:
        self.complete, self.limited, self._until = True, limited, math.inf


@dataclass
class _Walk:
    """Takes runs from the newest to the oldest, a few at a time, and then anew."""

    _last: tuple[float, str] = (math.inf, "")

    @property
    def is_at_start(self) -> bool:
        return self._last == (math.inf, "")

    def take(self, runs: Iterable[Run], most: int) -> Sequence[Run]:
        rest = sorted((run for run in runs if _place(run) < self._last), key=_place, reverse=True)
        self._last = _place(rest[most - 1]) if len(rest) > most else (math.inf, "")
        return rest[:most]


@dataclass
class Unfinished:
    """Reads the known runs again that are RUNNING: one may end, or go, and leave no time."""

    page_seconds: float
    complete: bool = True
    _walk: _Walk = field(default_factory=_Walk)

    def start_again(self) -> None:
        """See `Round`."""
        self.complete = False
        self._walk = _Walk()

    def step(self, search: RunSearch, known: Known, day: int) -> Change:  # noqa: ARG002 - see Review
        """See `Review`."""
        running = (run for run in known.values() if run.status == RUNNING)
        named = self._walk.take(running, min(search.portion(self.page_seconds, _LEAST), _NAMED))
        found = _named(search, named)
        self.complete |= self._walk.is_at_start
        there = {run.run_id for run in found}
        return Change(found, [run for run in named if run.run_id not in there])


@dataclass
class Trash:
    """Finds known runs that were deleted."""

    _walk: _Walk = field(default_factory=_Walk)

    def step(self, search: RunSearch, known: Known, day: int) -> Change:  # noqa: ARG002 - see Review
        """See `Review`."""
        named = self._walk.take(known.values(), _NAMED)
        return Change(gone=_named(search, named, deleted=True))


def _named(search: RunSearch, runs: Sequence[Run], *, deleted: bool = False) -> Sequence[Run]:
    """Return those of the *runs* that are active, or in the trash."""
    if not runs:
        return ()
    found = search.find(
        f"attributes.run_id IN {_ids(runs)}",
        most=len(runs),
        experiment_ids={run.experiment_id for run in runs},
        deleted=deleted,
    )
    # A server without a trash tells of the others.
    return [run for run in found.runs if run.deleted == deleted]


def _ids(runs: Sequence[Run]) -> str:
    return f"({', '.join(repr(run.run_id) for run in runs)})"


def _place(run: Run) -> tuple[float, str]:
    return run.start_ms, run.run_id
