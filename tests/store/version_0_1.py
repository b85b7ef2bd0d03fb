"""Version 0.1 itself: what it stored is upgraded, and it runs beside us."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

__all__ = ["FILL", "PAGE", "WORK", "Version01"]

_ARCHIVE = Path(__file__).with_name("flowgauge-0.1.0.tar.gz")

FILL = """
import sys
from dataclasses import replace
from flowgauge.store import Deferral, Logged, open_store

store = open_store(sys.argv[1], timeout_seconds=10)
for number in range(5):
    pair = f"dag{number % 3}", f"task {number}"
    logged = Logged(*pair, 0.3 * number, rows=10**number, null_ratio=0.5)
    store.record(logged)
    store.record(replace(logged, reason="rejected", altered=True, null_ratio=None))
for number in range(6):
    deferred = Logged("dag1", "task 1", 100, reason="unreachable")
    store.defer(deferred, Deferral(f"e{number}", f"body {number} ñ"))
store.claim("sender", 1, 600)
store.release("e0", "sender", "timeout")
store.claim("dead", 1, 0.001)
store.set_aside("e2", "rejected", "MLflow refuses it")
store.settle("e3", replace(deferred, rows=7))
for number in range(4):
    store.acquire("api", f"t{number}", 3, 600, 0)
store.give_up("api", "t3", 1.5)
store.acquire("api", "first in line", 3, 600, 0)
store.count_fail_open("api", 9)
store.acquire("idle", "t", 1, 0.001, 0)
store.mirror_written("api")
"""

PAGE = """
import sys
from prometheus_client import CollectorRegistry, generate_latest
from flowgauge.exporter.collector import Context
from flowgauge.exporter.collectors.dag_logging import DagLoggingCollector
from flowgauge.exporter.collectors.outbox import OutboxCollector
from flowgauge.exporter.collectors.rate_limit import RateLimitCollector
from flowgauge.store import open_store
from flowgauge.tracking.client import TrackingClient

context = Context(
    TrackingClient("http://127.0.0.1:1"), open_store(sys.argv[1], timeout_seconds=10), max_pairs=2
)
for collector in (DagLoggingCollector, OutboxCollector, RateLimitCollector):
    for family in collector(context).collect():
        for name, labels, value, *_ in family.samples:
            print(name, sorted(labels.items()), float(value), sep="|")
"""

WORK = """
import sys
from flowgauge.store import Deferral, Logged, open_store

url, name, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = open_store(url, timeout_seconds=30)
store.windows()
sent = []
for number in range(times):
    store.record(Logged("etl", "load", 0.1, rows=1))
    store.record(Logged(f"dag{number}", "own", 0.1, reason="rejected"))
    store.defer(Logged("etl", "load", 0.1, reason="unreachable"), Deferral(f"{name}{number}", "{}"))
    store.acquire("api", f"{name}{number}", 15, 600, 0)
    for entry in store.claim(name, 1, 600):
        store.settle(entry.entry_id, Logged("etl", "load", 0))
        sent.append(entry.entry_id)
print(*sent)
"""


class Version01:
    """The part of version 0.1 that stores and shows, unpacked into *folder*."""

    def __init__(self, folder: Path) -> None:
        with tarfile.open(_ARCHIVE) as archive:
            archive.extractall(folder, filter="data")
        self._environ = {**os.environ, "PYTHONPATH": str(folder / "exporters")}

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a Python *script* that imports this version."""
        command = [sys.executable, "-c", script, *arguments]
        return subprocess.Popen(command, env=self._environ, stdout=subprocess.PIPE, text=True)

    def run(self, script: str, *arguments: str) -> str:
        """Run it and return what it printed."""
        process = self.start(script, *arguments)
        printed, _ = process.communicate()
        assert process.returncode == 0
        return printed
