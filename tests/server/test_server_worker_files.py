import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from flowgauge.server.worker_files import WorkerFiles, fold

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def _write(file: Path, values: dict[str, float]) -> None:
    stored = MmapedDict(str(file))
    for key, value in values.items():
        stored.write_value(key, value, 0.0)
    stored.close()


def _key(name: str, sample: str | None = None, **labels: str) -> str:
    key: str = mmap_key(name, sample or name, list(labels), list(labels.values()), "help")
    return key


def _shown(folder: Path) -> Series:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in WorkerFiles(folder).collect()
        for sample in family.samples
    }


_COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2**40).map(float))
_BUCKETS = st.fixed_dictionaries({le: st.integers(0, 99).map(float) for le in ("0.1", "+Inf")})


@settings(max_examples=50, deadline=None)
@given(
    workers=st.lists(st.tuples(_COUNTS, _BUCKETS), max_size=5), rounds=st.lists(st.integers(1, 5))
)
def test_folding_changes_nothing_that_a_scrape_shows(
    workers: list[tuple[dict[str, float], dict[str, float]]], rounds: list[int]
) -> None:
    """Counters and histograms are the same before and after, in whatever groups workers die."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, (counts, buckets) in enumerate(workers):
            values = {_key("hits", "hits_total", key=key): n for key, n in counts.items()}
            _write(folder / f"counter_w{number}.db", values)
            values = {_key("wait", "wait_bucket", le=le): n for le, n in buckets.items()}
            _write(folder / f"histogram_w{number}.db", values | {_key("wait", "wait_sum"): 7.0})
        before = _shown(folder)
        dying = list(range(len(workers)))
        for size in [*rounds, len(workers)]:
            group, dying = dying[:size], dying[size:]
            for kind in ("counter", "histogram"):
                files = [folder / f"{kind}_w{number}.db" for number in group]
                fold(files, folder / f"{kind}_dead.db")
        assert _shown(folder) == before
        assert {file.name for file in folder.glob("*.db")} <= {
            "counter_dead.db",
            "histogram_dead.db",
        }


def test_the_dead_keep_their_counts_and_lose_their_gauges(folder: Path) -> None:
    """A dead process's counter stays on the page, its live gauge goes, a living one's stays."""
    dead, living = _dead_pid(), os.getppid()
    for pid in (dead, living):
        _write(folder / f"counter_{pid}.db", {_key("hits", "hits_total"): 2.0})
        _write(folder / f"gauge_liveall_{pid}.db", {_key("open"): 3.0})
    for _ in range(2):
        assert _shown(folder) == {
            ("hits_total", frozenset()): 4.0,
            ("open", frozenset({("pid", str(living))})): 3.0,
        }
    assert not list(folder.glob(f"*_{dead}.db"))


def test_a_worker_with_a_dead_ones_pid_starts_from_nothing(folder: Path) -> None:
    """What a dead worker of the same pid left is buried before the new one writes."""
    _write(folder / f"counter_{os.getpid()}.db", {_key("hits", "hits_total"): 2.0})
    _write(folder / f"gauge_livesum_{os.getpid()}.db", {_key("busy"): 1.0})
    WorkerFiles(folder).bury_the_dead()
    assert not list(folder.glob(f"*_{os.getpid()}.db"))
    assert _shown(folder) == {("hits_total", frozenset()): 2.0}


@pytest.mark.parametrize("pid", [_dead_pid(), os.getpid()], ids=["dead", "starting"])
def test_an_empty_file_breaks_no_scrape(folder: Path, pid: int) -> None:
    """A worker caught, or killed, between making its file and writing to it does no harm."""
    (folder / f"counter_{pid}.db").touch()
    assert _shown(folder) == {}


def test_nan_is_not_shown(folder: Path) -> None:
    """A gauge whose subject is gone disappears from the page."""
    values = {_key("open", pool="gone"): float("nan"), _key("open", pool="here"): 1.0}
    _write(folder / f"gauge_livesum_{os.getpid()}.db", values)
    assert _shown(folder) == {("open", frozenset({("pool", "here")})): 1.0}
