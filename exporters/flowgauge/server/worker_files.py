"""The workers' metric files: added up for a scrape, folded together once a worker is dead.

prometheus_client writes one file per kind of metric and process. It never removes one: a dead
worker's gauges would be shown for ever, and workers that are recycled would fill the disk.
"""

import fcntl
import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

__all__ = ["WorkerFiles", "fold"]

_FILE = re.compile(r"(?P<kind>[a-z_]+)_(?P<pid>\d+)\.db")
_ADDITIVE = ("counter", "histogram", "summary")


class WorkerFiles(Collector):
    """The metrics of every worker, as one: a collector for prometheus_client's encoders.

    Whoever reads or removes files holds the folder's lock, so that no scrape sees a dead worker's
    counts twice or not at all.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family, summed over the living and the dead workers.

        Live gauges of dead workers are gone. A gauge set to NaN is one whose subject is gone:
        prometheus_client cannot remove a series of a running process.
        """
        with self._locked():
            self._bury_the_dead()
            # A worker that starts right now may have made a file and written nothing to it.
            files = [str(file) for file in self._folder.glob("*.db") if file.stat().st_size]
            families: Iterable[Metric] = MultiProcessCollector.merge(files)
        for family in families:
            family.samples = [sample for sample in family.samples if not math.isnan(sample.value)]
            yield family

    def bury_the_dead(self) -> None:
        """Fold dead workers' counts together and remove their live gauges.

        A worker calls this before it makes its first metric: its pid may be a dead worker's.
        """
        with self._locked():
            self._bury_the_dead(reused=os.getpid())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _bury_the_dead(self, reused: int | None = None) -> None:
        dead: dict[str, list[Path]] = defaultdict(list)
        for file in self._folder.glob("*.db"):
            match = _FILE.fullmatch(file.name)
            if match and (int(match["pid"]) == reused or not _alive(int(match["pid"]))):
                dead[match["kind"]].append(file)
        for kind, files in dead.items():
            if kind in _ADDITIVE:
                fold(files, self._folder / f"{kind}_dead.db")
            elif kind.startswith("gauge_live"):
                _remove(files)


def fold(files: Iterable[Path], into: Path) -> None:
    """Add the values of *files* to those of the file *into*, and remove *files*.

    *into* need not exist. Values of counters, histograms and summaries add up; gauges' do not.
    Only a process killed between the last two steps leaves files that are counted once more.
    """
    files = list(files)
    sums: defaultdict[str, float] = defaultdict(float)
    for file in (*files, into):
        if file.exists() and file.stat().st_size:
            for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):
                sums[key] += value
    draft = into.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    values = MmapedDict(str(draft))
    for key, value in sums.items():
        values.write_value(key, value, 0.0)
    values.close()
    draft.replace(into)
    _remove(files)


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
