"""The workers' metric files: added up for a scrape, folded together once a worker is dead.

prometheus_client writes one file per kind of metric and process, `counter_77.db`. It never removes
one: a dead worker's gauges would be shown for ever, and workers that are recycled would fill the
disk. So the files of dead workers are first retired, then summed up in one:

- `counter_retired_3.db` was a dead worker's. Its number never comes again, as a pid does.
- `counter_dead_3.db` holds what was retired up to number 3; what has no higher number is outdated.

Each step is one rename or one removal, and before and after it the names say what counts. So
whoever folds may be killed at any moment, and a scrape need not wait for it.
"""

import fcntl
import logging
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from flowgauge.server import prometheus_files
from flowgauge.server.metrics_folder import ADDITIVE, FOLDED_FILE, LOCK, WORKER_FILE, entries

__all__ = ["WorkerFiles"]

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.02
_READS = 10


class WorkerFiles(Collector):
    """The metrics of every worker, as one: a collector for prometheus_client's encoders.

    Whoever folds files holds the folder's lock; who reads them needs none.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._sleep = sleep

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family, summed over the living and the dead workers.

        Live gauges of dead workers are gone. A gauge set to NaN is one whose subject is gone:
        prometheus_client cannot remove a series of a running process. What is malformed is left
        out; where somebody took the folder away, there is nothing to show.
        """
        self._try_to_bury_the_dead(patience_seconds=0)
        for family in self._read():
            family.samples = [sample for sample in family.samples if not math.isnan(sample.value)]
            yield family

    def bury_the_dead(self) -> None:
        """Fold dead workers' counts together and remove their live gauges.

        A worker calls this before it makes its first metric: its pid may be a dead worker's. What
        cannot be done within five seconds is logged and left, for MLflow must start all the same.
        """
        if not self._try_to_bury_the_dead(_PATIENCE_SECONDS, reused=os.getpid()):
            _log.warning(
                "flowgauge: the metrics of dead workers in %s could not be folded together; is its "
                "disk full, or a process that holds %r stopped?",
                self._folder,
                LOCK,
            )

    def living(self) -> set[int]:
        """Return the process ids of the workers that live."""
        with suppress(OSError):  # somebody took the folder away
            return {pid for _, _, pid in _of_workers(self._folder) if _alive(pid)}
        return set()

    def _read(self) -> Iterable[Metric]:
        families: Iterable[Metric] = ()
        for _ in range(_READS):
            # Where the names are the same afterwards, nobody folded meanwhile: numbers only grow.
            with suppress(FileNotFoundError):
                files = self._counting()
                families = prometheus_files.merge(files)
                if self._counting() == files:
                    break
        return families

    def _counting(self) -> list[Path]:
        """Return the files that together hold every count once, and the gauges of the living."""
        files = [file for kind in ADDITIVE for file in _folded(self._folder, kind).counting]
        for file, kind, pid in _of_workers(self._folder):
            # A worker that starts right now may have made a file and written nothing to it.
            if file.stat().st_size and (not _is_live_gauge(kind) or _alive(pid)):
                files.append(file)
        return sorted(files)

    def _try_to_bury_the_dead(self, patience_seconds: float, reused: int | None = None) -> bool:
        try:
            with self._locked(patience_seconds):
                _bury_the_dead(self._folder, reused)
        except OSError:  # the folder is gone, full or locked: what is there still counts as it is
            return False
        return True

    @contextmanager
    def _locked(self, patience_seconds: float) -> Iterator[None]:
        """Lock the folder; raise `BlockingIOError` when somebody else keeps it too long."""
        deadline = self._clock() + patience_seconds
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            while not _lock_is_free(lock):
                if self._clock() >= deadline:
                    raise BlockingIOError
                self._sleep(_POLL_SECONDS)
            yield
        finally:
            os.close(lock)


class _Folded:
    """The files of one kind's dead workers: what counts and what is outdated."""

    def __init__(self, files: Mapping[tuple[int, str], Path]) -> None:
        self.highest = max((number for number, _ in files), default=0)
        last_sum = max((number for number, state in files if state == "dead"), default=0)
        self.counting: list[Path] = []
        self.outdated: list[Path] = []
        for (number, state), file in files.items():
            counts = number > last_sum or (number == last_sum and state == "dead")
            (self.counting if counts else self.outdated).append(file)
        self.is_one_sum = self.highest == last_sum


def _folded(folder: Path, kind: str) -> _Folded:
    files = {}
    for entry in entries(folder):
        match = FOLDED_FILE.fullmatch(entry.name)
        if match and match["kind"] == kind:
            files[int(match["number"]), match["state"]] = folder / entry.name
    return _Folded(files)


def _of_workers(folder: Path) -> Iterator[tuple[Path, str, int]]:
    """Yield the files of prometheus_client itself, their kinds and processes."""
    for entry in entries(folder):
        match = WORKER_FILE.fullmatch(entry.name)
        if match:
            yield folder / entry.name, match["kind"], int(match["pid"])


def _bury_the_dead(folder: Path, reused: int | None) -> None:
    numbers = {kind: _folded(folder, kind).highest for kind in ADDITIVE}
    for file, kind, pid in sorted(_of_workers(folder)):
        if pid != reused and _alive(pid):
            continue
        if kind in ADDITIVE:
            numbers[kind] += 1
            file.rename(folder / f"{kind}_retired_{numbers[kind]}.db")
        elif _is_live_gauge(kind):
            file.unlink()
    for kind in ADDITIVE:
        _fold(folder, kind)


def _fold(folder: Path, kind: str) -> None:
    """Add up what counts of the dead workers' files of *kind* in one, and remove the others."""
    folded = _folded(folder, kind)
    outdated = folded.outdated
    if not folded.is_one_sum:
        sums: defaultdict[str, float] = defaultdict(float)
        for file in folded.counting:
            for key, value in _values(file).items():
                sums[key] += value
        draft = folder / f"{kind}_dead.draft"
        prometheus_files.write(sums, draft)
        draft.rename(folder / f"{kind}_dead_{folded.highest}.db")
        outdated += folded.counting
    for file in outdated:
        file.unlink(missing_ok=True)


def _values(file: Path) -> Mapping[str, float]:
    """Return the values of *file*; one that is malformed is set aside and has none."""
    try:
        return prometheus_files.read(file)
    except prometheus_files.MalformedFileError:
        aside = file.with_name(f"{file.name}.malformed")
        file.rename(aside)
        _log.warning("flowgauge: a dead worker's metrics are malformed; they are in %s", aside)
        return {}


def _is_live_gauge(kind: str) -> bool:
    return kind.startswith("gauge_live")


def _lock_is_free(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
