"""Whose requests these are: counted by the DAG and the task that the headers name."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from flowgauge import metrics
from flowgauge.dag_headers import DAG_ID_HEADER, OTHER, TASK_ID_HEADER, Pair, pair_of
from flowgauge.server.business import Work
from flowgauge.server.containment import Containment
from flowgauge.server.dag_counts import Column, Counts, read_counts, row
from flowgauge.server.dag_places import OTHERS, Places, read_places

__all__ = ["DagRequests"]

_SHOWN = {
    Column.REQUESTS: metrics.DAG_REQUESTS,
    Column.FAILURES: metrics.DAG_REQUEST_FAILURES,
    Column.SECONDS: metrics.DAG_REQUEST_SECONDS,
    Column.RUNS: metrics.DAG_RUNS_STARTED,
    Column.BYTES: metrics.DAG_ARTIFACT_BYTES,
}
_DAG = DAG_ID_HEADER.lower().encode()
_TASK = TASK_ID_HEADER.lower().encode()


class DagRequests(Collector):
    """Counts the requests that say for whom they are, and shows what all workers counted.

    Up to *most* pairs of DAG and task have labels of their own, the rest are `other`; the workers
    share *folder*. A fault in reading is *contained*.
    """

    def __init__(
        self,
        folder: Path,
        most: int,
        contained: Containment,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._most = most
        self._contained = contained
        self._clock = clock
        # Made with the first request of a task.
        self._places: Places | None = None
        self._counts: Counts | None = None
        self._is_gone = False

    def count(
        self, headers: Iterable[tuple[bytes, bytes]], work: Work, *, failed: bool, seconds: float
    ) -> None:
        """Count one request, if its *headers* name a DAG; *work* is what it did."""
        pair = _pair(headers)
        if pair is None:
            return
        now = self._clock()
        if self._is_gone:
            self._begin_anew()
        if self._counts is None:
            self._counts = Counts(self._folder, 1 + self._most)
        if self._places is None:
            self._places = Places(self._folder, self._most)
        named = pair != (OTHER, OTHER)
        place = self._places.of(pair, now, logs=work.logged) if named else OTHERS
        amounts = (1, failed, seconds, work.started_run, work.artifact_bytes, work.logged)
        self._counts.add(place, amounts, now)

    def look(self) -> None:
        """Notice, in another thread than `count`, whether somebody took a file away."""
        counts, places = self._counts, self._places
        self._is_gone = bool((counts and counts.is_gone()) or (places and places.is_gone()))

    def _begin_anew(self) -> None:
        # Counts are of no use without the list that says whose they are, and the other way round.
        for each in (self._counts, self._places):
            if each:
                each.close()
        self._counts = self._places = None
        self._is_gone = False

    def collect(self) -> Iterator[Family]:
        """Yield every metric, summed over the living and the dead workers."""
        families = {
            each: CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for each, metric in _SHOWN.items()
        }
        with self._contained:
            for pair, values in self._totals():
                for each, family in families.items():
                    family.add_metric(pair, values[each])
        yield from families.values()

    def _totals(self) -> Iterator[tuple[Pair, Sequence[float]]]:
        try:
            pairs, before = read_places(self._folder)
        except FileNotFoundError:  # no task has come yet
            return
        # Read after the places: what a loser counted is in `before` by then, and never twice.
        counts = read_counts(self._folder)
        others = row(counts, OTHERS)
        for place, pair in pairs.items():
            earlier = before[place]
            yield (
                pair,
                [value - past for value, past in zip(row(counts, place), earlier, strict=True)],
            )
            others = [value + past for value, past in zip(others, earlier, strict=True)]
        if others[Column.REQUESTS]:
            yield (OTHER, OTHER), others


def _pair(headers: Iterable[tuple[bytes, bytes]]) -> Pair | None:
    dag_id = task_id = b""
    for name, value in headers:
        if name == _DAG:
            dag_id = value
        elif name == _TASK:
            task_id = value
    return pair_of(dag_id, task_id) if dag_id else None
