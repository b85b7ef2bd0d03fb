"""What a worker takes of the machine, and whether its event loop is free."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from flowgauge.server.cgroup import Memory, memory
from flowgauge.server.event_loop import EventLoopLag
from flowgauge.server.worker_processes import WorkerProcesses
from stack.mlflow import MlflowServer
from stack.process import wait_for
from tests.server.scrape import Page, parse, scrape, workers


def test_every_worker_is_shown_as_it_is(measured: MlflowServer) -> None:
    """Memory, CPU, files and start of both, and that two were started."""
    wait_for(
        lambda: scrape(measured.url).value("mlflow_worker_starts_total") >= 2, "both have started"
    )
    page = scrape(measured.url)
    for worker in workers(measured.pid):
        pid = str(worker.pid)
        assert page.value("mlflow_worker_start_time_seconds", pid=pid) == pytest.approx(
            worker.create_time(), abs=2
        )
        assert page.value("mlflow_worker_memory_bytes", pid=pid) > 2**20
        # In hundredths of a second.
        assert 0 < page.value("mlflow_worker_cpu_seconds_total", pid=pid) < _cpu(worker) + 0.01
        assert (
            page.value("mlflow_worker_max_fds", pid=pid) == worker.rlimit(psutil.RLIMIT_NOFILE)[0]
        )
        assert page.value("mlflow_worker_open_fds", pid=pid) > 3
        assert page.series("mlflow_event_loop_lag_seconds", pid=pid)


def _cpu(worker: psutil.Process) -> float:
    taken = worker.cpu_times()
    return float(taken.user + taken.system)


def _page(collector: WorkerProcesses) -> Page:
    registry = CollectorRegistry()
    registry.register(collector)
    return parse(generate_latest(registry).decode())


def test_a_process_that_is_gone_is_left_out() -> None:
    """A worker that dies between two looks costs nobody the page."""
    page = _page(WorkerProcesses(lambda: [os.getpid(), 2**22 + 1], lambda: Memory(1, 2)))
    assert page.labels("mlflow_worker_memory_bytes", "pid") == {str(os.getpid())}
    assert page.value("mlflow_server_memory_bytes") == 1
    assert page.value("mlflow_server_memory_limit_bytes") == 2


def test_a_call_that_blocks_the_loop_is_seen_while_it_does_and_afterwards() -> None:
    """The time for which nobody is served grows as it passes, is kept a while, and is forgotten."""
    now = 0.0
    lag = EventLoopLag(lambda: now)
    assert lag.worst() == 0

    async def block() -> None:
        nonlocal now
        lag.watch()
        lag.watch()
        now = 3.1  # no other call was made meanwhile
        assert lag.worst() == pytest.approx(3)
        await asyncio.sleep(0.15)  # the loop is free again, and calls
        now = 3.2
        assert lag.worst() == pytest.approx(3)
        now = 31
        await asyncio.sleep(0.15)
        assert lag.worst() >= 3

    asyncio.run(block())
    now = 120
    assert lag.worst() == pytest.approx(120 - 31 - 0.1, abs=0.2)


_V2 = {"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 1\ninactive_file 200\n"}
_V1 = {
    "memory.limit_in_bytes": "1000",
    "memory.usage_in_bytes": "700",
    "memory.stat": "inactive_file 1\ntotal_inactive_file 200\n",
}
_FREE_V1 = {**_V1, "memory.limit_in_bytes": str(2**63 - 4096)}


@pytest.mark.parametrize(
    ("own", "groups", "found"),
    [
        ("0::/\n", {"": _V2}, Memory(500, 1000)),
        (
            "0::/system.slice/mlflow.service\n",
            {"system.slice/mlflow.service": _V2},
            Memory(500, 1000),
        ),
        # The slice allows less than the unit.
        (
            "0::/a.slice/b.service\n",
            {"a.slice": _V2, "a.slice/b.service": {**_V2, "memory.max": "2000"}},
            Memory(500, 1000),
        ),
        ("0::/a.slice\n", {"a.slice": {**_V2, "memory.max": "max"}}, None),
        # A container that is told its path on the host.
        ("4:cpu,memory:/docker/0123\n0::/\n", {"memory": _V1}, Memory(500, 1000)),
        ("4:memory:/user\n", {"memory": _FREE_V1, "memory/user": _FREE_V1}, None),
        ("0::/\n", {}, None),
        ("what is this", {}, None),
    ],
)
def test_the_narrowest_limit_of_memory_is_found(
    folder: Path, own: str, groups: dict[str, dict[str, str]], found: Memory | None
) -> None:
    """In both versions of control groups, in a container and in a unit of systemd."""
    (folder / "own").write_text(own)
    for group, files in groups.items():
        (folder / "fs" / group).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / "fs" / group / name).write_text(text)
    assert memory(folder / "own", folder / "fs") == found
