import fcntl
import itertools
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Gauge, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from flowgauge.server import prometheus_files
from flowgauge.server.metrics_folder import GAUGE_MODES
from flowgauge.server.worker_files import WorkerFiles

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

NO_PID = 2**30  # beyond what Linux gives


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


def _series(families: Iterable[Metric]) -> Series:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def _shown(folder: Path) -> Series:
    return _series(WorkerFiles(folder).collect())


_COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2**40).map(float))
_BUCKETS = st.fixed_dictionaries({le: st.integers(0, 99).map(float) for le in ("0.1", "+Inf")})


@settings(max_examples=50, deadline=None)
@given(
    workers=st.lists(st.tuples(_COUNTS, _BUCKETS), max_size=5), rounds=st.lists(st.integers(1, 5))
)
def test_folding_changes_nothing_that_a_scrape_shows(
    workers: list[tuple[dict[str, float], dict[str, float]]], rounds: list[int]
) -> None:
    """A scrape shows what prometheus_client makes of all files, in whatever groups workers die."""
    with tempfile.TemporaryDirectory() as name:
        folder, never_folded = Path(name, "folder"), Path(name, "never_folded")
        folder.mkdir()
        never_folded.mkdir()
        dying = list(enumerate(workers, NO_PID))
        for size in [*rounds, len(workers)]:
            group, dying = dying[:size], dying[size:]
            for pid, (counts, buckets) in group:
                hits = {_key("hits", "hits_total", key=key): n for key, n in counts.items()}
                wait = {_key("wait", "wait_bucket", le=le): n for le, n in buckets.items()}
                for to in (folder, never_folded):
                    _write(to / f"counter_{pid}.db", hits)
                    _write(to / f"histogram_{pid}.db", wait | {_key("wait", "wait_sum"): 7.0})
            files = [str(file) for file in never_folded.iterdir()]
            assert _shown(folder) == _series(MultiProcessCollector.merge(files))
            assert len(list(folder.glob("*.db"))) <= 2


def _leave_a_dead_workers(folder: Path, pid: int) -> None:
    _write(folder / f"counter_{pid}.db", {_key("hits", "hits_total"): 2.0})
    _write(folder / f"histogram_{pid}.db", {_key("wait", "wait_bucket", le="+Inf"): 3.0})
    _write(folder / f"gauge_livesum_{pid}.db", {_key("busy"): 1.0})


def _is_killed(step: int, call: Callable[[], object]) -> bool:
    """Run *call* in a process that is killed before its *step*th change to a file."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        return os.WIFSIGNALED(status)
    steps = itertools.count(1)

    def kill_in_time(event: str, _: object) -> None:
        if event in {"open", "os.rename", "os.remove"} and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill_in_time)
    call()
    os._exit(0)


def test_killed_at_any_step_of_folding_nothing_is_lost_or_counted_twice(folder: Path) -> None:
    """Whoever is killed while it folds leaves every count once, for now and for who goes on."""
    for step in itertools.count(1):
        at = folder / str(step)
        at.mkdir()
        for pid in (NO_PID, NO_PID + 1):
            _leave_a_dead_workers(at, pid)
            _shown(at)  # folds: the second time there is a sum already
        for pid in (NO_PID, NO_PID + 2):  # a pid comes again
            _leave_a_dead_workers(at, pid)
        killed = _is_killed(step, WorkerFiles(at).bury_the_dead)
        with (at / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # so that the scrape cannot go on with the folding
            assert _shown(at)["hits_total", frozenset()] == 8.0
        assert _shown(at) == {
            ("hits_total", frozenset()): 8.0,
            ("wait_bucket", frozenset({("le", "+Inf")})): 12.0,
            ("wait_count", frozenset()): 12.0,
        }
        _leave_a_dead_workers(at, NO_PID)
        assert _shown(at)["hits_total", frozenset()] == 10.0
        if not killed:
            break
    assert step > 20


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


@pytest.fixture
def stopped_holder(folder: Path) -> Iterator[None]:
    """A process that was stopped while it held the folder's lock."""
    code = (
        "import fcntl, sys; fcntl.flock(f := open(sys.argv[1], 'w'), 2); print(flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(folder / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        holder.send_signal(signal.SIGSTOP)
        yield
        holder.kill()


@pytest.mark.usefixtures("stopped_holder")
def test_a_stopped_process_keeps_nobody_waiting(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While a process that folded is stopped, a scrape is right at once and a worker starts."""
    _leave_a_dead_workers(folder, NO_PID)
    assert _shown(folder)["hits_total", frozenset()] == 2.0
    assert ("busy", frozenset()) not in _shown(folder)
    waited: list[float] = []
    WorkerFiles(folder, clock=lambda: sum(waited), sleep=waited.append).bury_the_dead()
    assert 4 < sum(waited) < 6
    assert "could not be folded together" in caplog.text
    assert (folder / f"counter_{NO_PID}.db").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        b"\xff\xff\xff\x7f" + bytes(60),
        struct.pack("i4xi12sddi", 4096, 4, b"key", 1.0, 0.0, -28) + bytes(4096),
        struct.pack("i4xi12sdd", 40, 9, b"no metric   ", 1.0, 0.0),
    ],
    ids=["short", "endless", "in-circles", "no-key"],
)
def test_a_dead_workers_malformed_file_is_set_aside(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It costs its own counts, once: it is named in the log, and blocks no worker and no page."""
    _leave_a_dead_workers(folder, NO_PID)
    (folder / f"counter_{NO_PID + 1}.db").write_bytes(content)
    WorkerFiles(folder).bury_the_dead()
    assert _shown(folder)["hits_total", frozenset()] == 2.0
    [aside] = folder.glob("*.malformed")
    assert caplog.text.count(str(aside)) == 1


@pytest.mark.parametrize("pid", [NO_PID + 1, os.getpid()], ids=["dead", "living"])
@pytest.mark.parametrize(
    "key",
    [
        '["a", "a", {"b": 5}, "help"]',
        '["a", "a", {"b": null}, "help"]',
        '["a", "a", {"b": "\\ud800"}, "help"]',
        '["a", "\\ud800", {}, "help"]',
        '["a", "a", {}, 5]',
        '["a", 5, {}, "help"]',
        '["a", "a", {"b": []}, "help"]',
        f"[{'[' * 10_000}",
    ],
)
def test_what_is_no_text_takes_no_page_away(folder: Path, key: str, pid: int) -> None:
    """A label, a name or a help of another kind costs its file alone."""
    _leave_a_dead_workers(folder, NO_PID)
    _write(folder / f"counter_{pid}.db", {key: 1.0})
    page = generate_latest(WorkerFiles(folder)).decode()
    assert "hits_total 2.0" in page
    assert "# HELP a" not in page


@pytest.mark.parametrize("pid", [NO_PID + 1, os.getpid()], ids=["dead", "living"])
def test_a_huge_file_is_not_read(folder: Path, pid: int) -> None:
    """It costs its own counts, and no memory."""
    _leave_a_dead_workers(folder, NO_PID)
    huge = folder / f"counter_{pid}.db"
    huge.write_bytes(struct.pack("i", 2**31 - 1))
    os.truncate(huge, 2**31)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert _shown(folder)["hits_total", frozenset()] == 2.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def test_a_living_workers_malformed_file_costs_only_its_own_series(folder: Path) -> None:
    """The page shows all the others."""
    _leave_a_dead_workers(folder, NO_PID)
    (folder / f"counter_{os.getpid()}.db").write_bytes(b"\xff\xff\xff\x7f" + bytes(60))
    assert _shown(folder)["hits_total", frozenset()] == 2.0


def test_foreign_files_are_neither_read_nor_removed(folder: Path) -> None:
    """A file is read only if it is a regular one with exactly a name that we give."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    _leave_a_dead_workers(elsewhere, NO_PID)
    for name in ("mlflow.db", "counter.db", "counter_x.db", "counter_1.db.bak", "gauge_own_1.db"):
        (folder / name).write_bytes(b"not ours")
    (folder / f"counter_{NO_PID}.db").symlink_to(elsewhere / f"counter_{NO_PID}.db")
    before = sorted(folder.iterdir())
    WorkerFiles(folder).bury_the_dead()
    assert _shown(folder) == {}
    assert sorted(folder.iterdir()) == sorted([*before, folder / "lock"])


def test_a_link_in_the_place_of_the_lock_is_not_followed(folder: Path) -> None:
    """What it leads to stays as it is, no page breaks, and what cannot be folded counts."""
    precious = folder / "precious"
    precious.write_bytes(b"not ours")
    (folder / "lock").symlink_to(precious)
    _leave_a_dead_workers(folder, NO_PID)
    WorkerFiles(folder).bury_the_dead()
    assert _shown(folder)["hits_total", frozenset()] == 2.0
    assert precious.read_bytes() == b"not ours"


def test_a_folder_that_was_taken_away_breaks_no_page_and_no_worker(folder: Path) -> None:
    """A cleaner that removes the folder takes the numbers, not the server."""
    gone = folder / "gone"
    WorkerFiles(gone).bury_the_dead()
    assert _shown(gone) == {}


def test_what_cannot_be_folded_counts_all_the_same(folder: Path) -> None:
    """Where nothing can be written, the dead workers' counts are shown as they are."""
    (folder / "counter_dead.draft").mkdir()
    _leave_a_dead_workers(folder, NO_PID)
    for _ in range(2):
        assert _shown(folder)["hits_total", frozenset()] == 2.0


def test_prometheus_client_has_the_names_and_modes_that_are_leaned_on() -> None:
    """The list of what is not public of it is true for the installed version."""
    prometheus_files.supported()
    assert set(GAUGE_MODES) == Gauge._MULTIPROC_MODES
