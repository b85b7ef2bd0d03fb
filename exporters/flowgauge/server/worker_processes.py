"""What the workers take of the machine, as Linux tells it when somebody scrapes.

https://man7.org/linux/man-pages/man5/proc.5.html
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from flowgauge import metrics
from flowgauge.server.cgroup import Memory, memory

__all__ = ["WorkerProcesses"]

_PROC = Path("/proc")
# In `stat`, behind the name, which may hold anything.
_USER_TICKS, _SYSTEM_TICKS, _START_TICKS, _RESIDENT_PAGES = 11, 12, 19, 21


@dataclass(frozen=True)
class _Taken:
    memory_bytes: float
    cpu_seconds: float
    start_seconds: float
    open_fds: float
    max_fds: float


class WorkerProcesses(Collector):
    """The processes that *living* returns, each by its pid, and the memory that all may take.

    Whichever worker answers a scrape reads it of all. Where there is no /proc, or a process is gone
    meanwhile, there is nothing to show.
    """

    def __init__(
        self,
        living: Callable[[], Iterable[int]],
        read_memory: Callable[[], Memory | None] = memory,
    ) -> None:
        self._living = living
        self._memory = read_memory

    def collect(self) -> Iterator[Family]:
        """Yield every family, also one without a sample."""
        families: dict[metrics.Metric, GaugeMetricFamily | CounterMetricFamily] = {
            metrics.WORKER_MEMORY: _gauge(metrics.WORKER_MEMORY),
            metrics.WORKER_CPU: CounterMetricFamily(
                metrics.WORKER_CPU.name, metrics.WORKER_CPU.help, labels=metrics.WORKER_CPU.labels
            ),
            metrics.WORKER_START_TIME: _gauge(metrics.WORKER_START_TIME),
            metrics.WORKER_OPEN_FDS: _gauge(metrics.WORKER_OPEN_FDS),
            metrics.WORKER_MAX_FDS: _gauge(metrics.WORKER_MAX_FDS),
        }
        for pid in self._living():
            with suppress(OSError, ValueError, IndexError):  # it is gone, or this is no Linux
                taken = _taken_by(pid)
                for family, value in zip(families.values(), _values(taken), strict=True):
                    family.add_metric([str(pid)], value)
        yield from families.values()
        yield from self._of_all()

    def _of_all(self) -> Iterator[Family]:
        used, limit = _gauge(metrics.SERVER_MEMORY), _gauge(metrics.SERVER_MEMORY_LIMIT)
        if found := self._memory():
            used.add_metric([], found.used)
            limit.add_metric([], found.limit)
        yield used
        yield limit


def _gauge(spec: metrics.Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(spec.name, spec.help, labels=spec.labels)


def _values(taken: _Taken) -> Iterator[float]:
    yield taken.memory_bytes
    yield taken.cpu_seconds
    yield taken.start_seconds
    yield taken.open_fds
    yield taken.max_fds


def _taken_by(pid: int) -> _Taken:
    process = _PROC / str(pid)
    fields = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return _Taken(
        memory_bytes=int(fields[_RESIDENT_PAGES]) * os.sysconf("SC_PAGE_SIZE"),
        cpu_seconds=(int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) / ticks,
        start_seconds=_boot_seconds() + int(fields[_START_TICKS]) / ticks,
        open_fds=sum(1 for _ in (process / "fd").iterdir()),
        max_fds=_max_fds((process / "limits").read_text()),
    )


def _boot_seconds() -> int:
    lines = (_PROC / "stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("btime "))


def _max_fds(limits: str) -> float:
    line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
    soft = line.split()[3]
    return float("inf") if soft == "unlimited" else float(soft)
