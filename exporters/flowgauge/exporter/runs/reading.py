"""Knowing the runs of DAGs that count, at little cost to MLflow.

It takes a millisecond or more for each run it tells of, and cannot be asked what changed. So a look
asks for the news: what started, and what ended, since the newest time that is known. What leaves no
new time behind (a run that arrives late, is deleted, or ends without a time) is found by reviews, a
few questions a look.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from flowgauge.exporter.runs.experiments import Experiments
from flowgauge.exporter.runs.review import RECENT, STALE, Missing, Review, Round, Trash, Unfinished
from flowgauge.exporter.runs.run import DAY_MS, RUNNING, Run
from flowgauge.exporter.runs.search import FoundRuns, RunSearch
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import TrackingError
from flowgauge.tracking.queries import Queries

__all__ = ["RunReader"]

_EXPERIMENTS = 5_000
# How long MLflow is kept at it in a look, and by one question, while not all is known.
_FIRST_SECONDS = 0.6
_PAGE_SECONDS = 0.2
# After this no further question of a review is begun, and so many runs are read again.
_REVIEW_SECONDS = 0.05
# Many more than come between two looks, or each would seem to leave a gap.
_LEAST_NEWS = 100
# Tasks say when their runs start and end, and their clocks may differ.
_OVERLAP_MS = 60 * 1000
_AHEAD_MS = 3600 * 1000


class RunReader:
    """The runs that DAGs started in the last 24 hours, or earlier and still RUNNING.

    The newest *limit* of both are known, of which it reads *page* at a time at most. Each question
    bears *headers*. `complete` says that all were read, `limited` that there are more, also of
    experiments.
    """

    def __init__(
        self,
        client: TrackingClient,
        *,
        limit: int,
        page: int,
        clock: Callable[[], float] = time.monotonic,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._headers = headers
        self._deadline = 0.0
        self._experiments = Experiments(_EXPERIMENTS, clock)
        self._search = RunSearch(
            client,
            self._experiments.ids,
            self._seconds_left,
            page=page,
            clock=clock,
            headers=headers,
        )
        stale, recent = (Missing(of, limit, _PAGE_SECONDS) for of in (STALE, RECENT))
        unfinished = Unfinished(_REVIEW_SECONDS)
        self._missing = (stale, recent)
        self._rounds: Sequence[Round] = (stale, recent, unfinished)
        # To go through the whole day takes many questions, through the others hardly more than one.
        often: list[Review] = [recent, Trash()]
        self._turns: deque[Review] = deque([stale, unfinished, *often, *often, *often])
        self._known: dict[str, Run] = {}
        self._out_of_time = False

    @property
    def complete(self) -> bool:
        """See the class."""
        return all(review.complete for review in self._rounds)

    @property
    def limited(self) -> bool:
        """See the class."""
        return self._experiments.limited or any(missing.limited for missing in self._missing)

    @property
    def runs(self) -> Sequence[Run]:
        """What is known, newest first."""
        return sorted(self._known.values(), key=lambda run: run.start_ms, reverse=True)

    def look(self, now_ms: int, seconds: float) -> None:
        """Ask MLflow, for *seconds* at most; raises `TrackingError`."""
        self._deadline = self._clock() + seconds
        try:
            self._look(now_ms)
        except TrackingError:
            self._out_of_time = self._seconds_left() == 0
            raise
        self._out_of_time = False

    def _look(self, now_ms: int) -> None:
        began = self._clock()
        self._experiments.read(
            Queries(
                self._client,
                seconds_left=self._seconds_left,
                limit=_EXPERIMENTS,
                headers=self._headers,
            )
        )
        day = now_ms - DAY_MS
        # Where MLflow is so slow that the news left no time for more, the rest has the next look.
        if self._known and not self._out_of_time:
            self._read_news(now_ms)
        if self.complete:
            self._go_on_with_reviews(day)
        else:
            self._read_all(day, until=began + _FIRST_SECONDS)
        experiments = set(self._experiments.ids())
        self._forget(
            run
            for run in self._known.values()
            if run.experiment_id not in experiments
            or (run.start_ms < day and run.status != RUNNING)
        )

    def _read_news(self, now_ms: int) -> None:
        """Read what started since the newest time that is known, and what ended of older runs.

        What nobody knows of before the last day does not matter.
        """
        times = (at for run in self._known.values() for at in (run.start_ms, run.end_ms or 0))
        newest = max((at for at in times if at <= now_ms), default=0)
        since = max(newest, now_ms - DAY_MS) - _OVERLAP_MS
        # What a wrong clock put into next year would be in the way till then.
        until = now_ms + _AHEAD_MS
        most = self._search.portion(_PAGE_SECONDS, _LEAST_NEWS)
        started = self._search.find(
            f"attributes.start_time >= {since}", f"attributes.start_time <= {until}", most=most
        )
        ended = self._search.find(
            f"attributes.end_time >= {since}",
            f"attributes.end_time <= {until}",
            f"attributes.start_time < {since}",
            most=most,
            newest="end_time",
        )
        if self._leaves_a_gap(started) or self._leaves_a_gap(ended):
            for review in self._rounds:
                review.start_again()
        self._learn(started.runs)
        self._learn(ended.runs)

    def _leaves_a_gap(self, found: FoundRuns) -> bool:
        """Return whether there may be more between the oldest of *found* and what is known."""
        return found.limited and not any(run == self._known.get(run.run_id) for run in found.runs)

    def _read_all(self, day: int, until: float) -> None:
        while not self.complete:
            for review in self._rounds:
                if review.complete:
                    continue
                self._step(review, day)
                # Not before a step: where MLflow is slow the news alone take longer.
                if self._clock() >= until:
                    return

    def _go_on_with_reviews(self, day: int) -> None:
        until = self._clock() + _REVIEW_SECONDS
        asked: list[Review] = []
        for review in list(self._turns):
            self._turns.rotate(-1)
            if any(review is other for other in asked):
                continue
            self._step(review, day)
            asked.append(review)
            if self._clock() >= until:
                return

    def _step(self, review: Review, day: int) -> None:
        change = review.step(self._search, self._known, day)
        self._learn(change.found)
        self._forget(change.gone)

    def _learn(self, runs: Iterable[Run]) -> None:
        self._known.update((run.run_id, run) for run in runs)

    def _forget(self, runs: Iterable[Run]) -> None:
        for run in list(runs):
            self._known.pop(run.run_id, None)

    def _seconds_left(self) -> float:
        return max(self._deadline - self._clock(), 0)
