"""One scrape: all collectors at once, none of which can hold up or break another."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

from prometheus_client.registry import Collector as Registry

from flowgauge.background import in_background
from flowgauge.complaint import Complaint
from flowgauge.errors import FlowgaugeError
from flowgauge.exporter.collector import Collector, Family
from flowgauge.exporter.families import Labels, family
from flowgauge.metrics import COLLECTOR_DURATION, COLLECTOR_SUCCESS

__all__ = ["Scrape"]

Clock = Callable[[], float]


class Scrape:
    """All *collectors* as one, for prometheus_client: `collect` answers within their time limits.

    Adds `flowgauge_collector_success` and `_duration_seconds` for each. Scrapes at the same time
    share one run of a collector.
    """

    def __init__(self, collectors: Sequence[Collector], clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._supervised = [_Supervised(collector, clock) for collector in collectors]

    def within(self, seconds: float) -> Registry:
        """Return what answers within *seconds* too, with what was found until then."""
        return _Within(self, seconds)

    def describe(self) -> Iterable[Family]:
        """Return nothing: registering must not scrape."""
        return ()

    def collect(self, seconds: float = math.inf) -> Iterator[Family]:
        """Run every collector and yield what they found, then how they fared."""
        begun = self._clock()
        runs = [(supervised, supervised.begin()) for supervised in self._supervised]
        outcomes = {
            supervised.collector.name: supervised.finish(run, begun, seconds)
            for supervised, run in runs
        }
        success: dict[Labels, float] = {}
        durations: dict[Labels, float] = {}
        for name, outcome in outcomes.items():
            yield from outcome.families
            success[name,] = outcome.success
            durations[name,] = outcome.seconds
        yield family(COLLECTOR_SUCCESS, success)
        yield family(COLLECTOR_DURATION, durations)


@dataclass(frozen=True)
class _Within:
    scrape: Scrape
    seconds: float

    def collect(self) -> Iterator[Family]:
        return self.scrape.collect(self.seconds)


@dataclass(frozen=True)
class _Outcome:
    families: Sequence[Family]
    success: bool
    seconds: float


class _Run:
    """One run of a collector, in a thread of its own."""

    def __init__(self, collector: Collector, clock: Clock) -> None:
        self.started = clock()
        self.families: list[Family] = []
        self._collector = collector
        self._clock = clock
        self._ended: float | None = None
        self.future = in_background(self._collect, f"collector-{collector.name}")

    def _collect(self) -> None:
        try:
            self.families.extend(self._collector.collect())
        finally:
            self._ended = self._clock()

    @property
    def seconds(self) -> float:
        """How long it took, or has taken until now."""
        return (self._ended or self._clock()) - self.started


class _Supervised:
    """A collector whose failure or hanging stays its own."""

    def __init__(self, collector: Collector, clock: Clock) -> None:
        self.collector = collector
        self._clock = clock
        self._lock = Lock()
        self._run: _Run | None = None
        self._complaint = Complaint(f"The collector {collector.name}")

    def begin(self) -> _Run:
        """Start a run, unless one is still under way: a collector that hangs has one thread."""
        with self._lock:
            if self._run is None or self._run.future.done():
                self._run = _Run(self.collector, self._clock)
            return self._run

    def finish(self, run: _Run, begun: float, seconds: float) -> _Outcome:
        """Wait for *run* for what is left of its time, none if it hangs since an earlier scrape.

        A scrape that has *begun* then waits *seconds* at most.
        """
        limit = self.collector.time_limit_seconds
        now = self._clock()
        if run.started + limit <= now and not run.future.done():
            # What it found, it found for that earlier scrape.
            return _Outcome((), success=False, seconds=run.seconds)
        left = min(run.started + limit, begun + seconds) - now
        success = self._succeeds(run, left, min(limit, seconds))
        return _Outcome(tuple(run.families), success, run.seconds)

    def _succeeds(self, run: _Run, left: float, limit: float) -> bool:
        try:
            run.future.result(max(left, 0))
        except TimeoutError:
            self._complaint.raise_(f"it took over {limit:.2g} s")
        except FlowgaugeError as error:
            self._complaint.raise_(str(error))
        except Exception as error:  # noqa: BLE001 - no collector may break another
            self._complaint.raise_(f"it has a defect, {type(error).__name__}", defect=error)
        else:
            self._complaint.settle()
            return True
        return False
