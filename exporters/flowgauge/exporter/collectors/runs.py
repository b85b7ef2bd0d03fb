"""The runs in MLflow that DAGs started."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import NamedTuple

from flowgauge.dag_headers import OTHER
from flowgauge.exporter.collector import MAX_TIME_LIMIT_SECONDS, Context, Family
from flowgauge.exporter.families import Labels, family
from flowgauge.exporter.runs.reading import RunReader
from flowgauge.exporter.runs.run import DAY_MS, Run
from flowgauge.exporter.workspaces import Workspaces, in_workspace, is_up
from flowgauge.metrics import (
    DAG_LAST_RUN,
    DAG_LAST_RUN_DURATION,
    DAG_RUNS,
    DAG_RUNS_LIMITED,
    DAG_RUNS_READ,
    DAG_RUNS_STALE,
)
from flowgauge.tracking.errors import (
    TrackingError,
    TrackingRejectedError,
    TrackingUnauthorizedError,
)

__all__ = ["RunsCollector"]

_LIMIT = 20_000
_PAGE = 500
_PROBE_SECONDS = 3.0
_LOOK_SECONDS = MAX_TIME_LIMIT_SECONDS - _PROBE_SECONDS - 0.5
# After this no further workspace is begun: a look at each of twenty would cost as much as twenty.
_TURN_SECONDS = 0.25
# For how much of the time a look may be under way: until all is known, and then.
_FIRST_SHARE = 0.05
_SHARE = 0.0003
# They grow rarer for it, up to so many times the interval.
_RARER = 10


class RunsCollector:
    """Counts the runs tagged with a DAG, over all active experiments, the newest *limit*.

    It looks at MLflow at most every `runs_interval_seconds` of the context, and less often the
    longer a look takes. In between it shows what it saw, and when that was; so it does while MLflow
    is away, which is a finding of the collector `tracking`, or a look fails. Until all runs have
    been read, and where there are more, `mlflow_dag_runs_limited` is 1.

    Where MLflow has workspaces, each is read, up to `max_workspaces` of the context, those first
    that were not read for the longest; one that refuses hides no other.

    Anybody who may log can tag a run as he likes: beyond the context's `max_pairs` DAGs, those
    whose runs are older first, and for what Airflow would call no DAG, the label is `other`.
    """

    name = "runs"
    time_limit_seconds = MAX_TIME_LIMIT_SECONDS

    def __init__(
        self,
        context: Context,
        *,
        limit: int = _LIMIT,
        page: int = _PAGE,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = context.tracking
        self._max_dags = context.max_pairs
        self._interval = context.runs_interval_seconds
        self._new_reader = partial(RunReader, context.tracking, limit=limit, page=page, clock=clock)
        self._workspaces = Workspaces(context.tracking, context.max_workspaces, clock)
        self._readings: dict[str, _Reading] = {}
        self._now = now
        self._clock = clock
        self._due = clock()
        self._failure: TrackingError | None = None
        self._families: Sequence[Family] = ()

    def collect(self) -> Iterator[Family]:
        """Yield what the last look found, after one if it is time."""
        if self._clock() >= self._due:
            self._look()
        yield from self._families
        if self._failure:
            raise self._failure

    def _look(self) -> None:
        began, now_ms = self._clock(), int(self._now() * 1000)
        try:
            refused = self._look_into_workspaces(now_ms, began)
        except TrackingError as error:
            self._failure = error if is_up(self._client, _PROBE_SECONDS) else None
            self._due = began + self._interval
            return
        self._failure = refused
        self._due = began + self._pause(self._clock() - began)
        self._families = tuple(self._shown())

    def _look_into_workspaces(self, now_ms: int, began: float) -> TrackingError | None:
        """Read in each workspace, as far as there is time, and return why one of them refused.

        Once all are known, those that there is no time for have theirs in the next looks.

        Raises `TrackingError` where none was read.
        """
        names = self._workspaces.names(_LOOK_SECONDS)
        self._readings = {name: self._readings.get(name) or self._begin(name) for name in names}
        until = began + (_TURN_SECONDS if self._all_known() else _LOOK_SECONDS)
        refused: TrackingError | None = None
        seconds = _LOOK_SECONDS
        for reading in sorted(self._readings.values(), key=lambda reading: reading.tried_ms):
            reading.tried_ms, reading.is_refused = now_ms, False
            try:
                reading.reader.look(now_ms, seconds)
            except (TrackingRejectedError, TrackingUnauthorizedError) as error:
                # Which hides none of the others, nor has all the looks.
                refused, reading.is_refused = error, True
            else:
                reading.at_ms = now_ms
            now = self._clock()
            if now >= until:
                break
            seconds = began + _LOOK_SECONDS - now
        if refused and all(reading.at_ms != now_ms for reading in self._readings.values()):
            raise refused
        return refused

    def _begin(self, workspace: str) -> "_Reading":
        return _Reading(workspace, self._new_reader(headers=in_workspace(workspace)))

    def _all_known(self) -> bool:
        return all(
            each.is_refused or (each.at_ms and each.reader.complete)
            for each in self._readings.values()
        )

    def _pause(self, took: float) -> float:
        if self._all_known():
            return min(max(took / _SHARE, self._interval), _RARER * self._interval)
        return min(took / _FIRST_SHARE, self._interval)

    def _shown(self) -> Iterator[Family]:
        read = [reading for reading in self._readings.values() if reading.at_ms]
        found = sorted(
            chain.from_iterable(map(_Reading.found, read)),
            key=lambda each: each.run.start_ms,
            reverse=True,
        )
        label = _labels(found, self._max_dags)
        recent = [each for each in found if each.is_recent]
        stale = [each for each in found if not each.is_recent]
        runs = (
            (dag_id, each.run.status, place) for each in recent for dag_id, place in [label(each)]
        )
        yield family(DAG_RUNS, Counter(runs))
        yield family(DAG_LAST_RUN, _last_started(recent, label))
        yield family(DAG_LAST_RUN_DURATION, _last_took(recent, label))
        yield family(DAG_RUNS_STALE, Counter(map(label, stale)))
        limited: dict[Labels, float] = {(each.workspace,): each.is_limited for each in read}
        if self._workspaces.limited or len(read) < len(self._readings):
            limited["",] = True
        yield family(DAG_RUNS_LIMITED, limited)
        yield family(DAG_RUNS_READ, {(each.workspace,): each.at_ms / 1000 for each in read})


class _Found(NamedTuple):
    """A run that was read in a workspace at a time."""

    run: Run
    workspace: str
    at_ms: int

    @property
    def is_recent(self) -> bool:
        return self.run.start_ms >= self.at_ms - DAY_MS


@dataclass
class _Reading:
    """What is known of a workspace, and when it was read, which is never at first."""

    workspace: str
    reader: RunReader
    at_ms: int = 0
    tried_ms: int = 0
    is_refused: bool = False

    @property
    def is_limited(self) -> bool:
        return self.reader.limited or not self.reader.complete

    def found(self) -> Iterator[_Found]:
        return (_Found(run, self.workspace, self.at_ms) for run in self.reader.runs)


_Label = Callable[[_Found], tuple[str, str]]
"""What tells a run's labels: its DAG, or `other`, and its workspace."""


def _labels(newest_first: Sequence[_Found], most: int) -> _Label:
    dags = dict.fromkeys(
        (each.run.dag_id, each.workspace)
        for each in reversed(newest_first)
        if each.run.dag_id != OTHER
    )
    shown = frozenset(islice(dags, most))

    def label(found: _Found) -> tuple[str, str]:
        named = found.run.dag_id, found.workspace
        return named if named in shown else (OTHER, found.workspace)

    return label


def _last_started(newest_first: Sequence[_Found], label: _Label) -> dict[Labels, float]:
    started: dict[Labels, float] = {}
    for each in newest_first:
        # Who starts a run says when: one of tomorrow would make a DAG look alive till then.
        if 0 < each.run.start_ms <= each.at_ms:
            started.setdefault(label(each), each.run.start_ms / 1000)
    return started


def _last_took(newest_first: Sequence[_Found], label: _Label) -> dict[Labels, float]:
    took: dict[Labels, float] = {}
    for each in newest_first:
        dag_id, workspace = label(each)
        run = each.run
        # One of many DAGs says nothing.
        if run.start_ms and run.end_ms and dag_id != OTHER:
            took.setdefault((dag_id, workspace), (run.end_ms - run.start_ms) / 1000)
    return took
