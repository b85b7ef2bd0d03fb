"""What processes take while they work, and whether that grows."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psutil

__all__ = ["Trend", "Watch"]

# The begin of a watch is not judged: caches fill, and threads are made.
_WARM_UP_SHARE = 0.3
_PART_SHARE = 0.2


@dataclass(frozen=True)
class Trend:
    """What one process took: at the end of its warm-up, and at the end of all; medians."""

    memory_before: float
    memory_after: float
    descriptors_before: float
    descriptors_after: float
    threads_before: float
    threads_after: float

    @property
    def grew(self) -> list[str]:
        """What grew by more than chance: a twentieth and 8 MB; three descriptors; two threads."""
        found = {
            "memory": self.memory_after > self.memory_before * 1.05 + 8_000_000,
            "descriptors": self.descriptors_after > self.descriptors_before + 3,
            "threads": self.threads_after > self.threads_before + 2,
        }
        return [name for name, has in found.items() if has]


@dataclass
class Watch:
    """Looks at *processes*, which are called by their names, each time it is told to."""

    processes: Mapping[str, psutil.Process]
    _seen: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)

    def look(self) -> None:
        """Note what each takes now; raise `psutil.NoSuchProcess` if one is gone."""
        for name, process in self.processes.items():
            with process.oneshot():
                taken = (
                    float(process.memory_info().rss),
                    float(process.num_fds()),
                    float(process.num_threads()),
                )
            self._seen.setdefault(name, []).append(taken)

    def until(self, end: float, every: float) -> None:
        """Look *every* so many seconds until *end*, a time of the monotonic clock."""
        while time.monotonic() < end:
            self.look()
            time.sleep(every)

    def trends(self) -> dict[str, Trend]:
        """Return what became of each."""
        return {name: _trend(seen) for name, seen in self._seen.items()}


def _trend(seen: Sequence[tuple[float, float, float]]) -> Trend:
    number = len(seen)
    size = max(round(number * _PART_SHARE), 1)
    first = round(number * _WARM_UP_SHARE)
    figures = []
    for values in zip(*seen, strict=True):
        figures += [
            statistics.median(values[first : first + size]),
            statistics.median(values[-size:]),
        ]
    return Trend(*figures)
