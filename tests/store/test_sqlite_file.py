"""What can happen to a SQLite file, and who may use it."""

import multiprocessing
import os
import resource
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import chain
from multiprocessing.context import ForkProcess
from pathlib import Path
from threading import Event

import httpx
import psutil
import pytest

from flowgauge.store import Store, StoreError, StoreUnavailableError, open_store
from flowgauge.store.log_calls import Logged, ended
from flowgauge.store.sqlite import at_fork
from flowgauge.store.sqlite.file import SqliteFile
from flowgauge.store.sqlite.recovery import recover
from stack.exporter import exporter
from stack.process import LOOPBACK, wait_for
from tests.counting import defer, pairs

_FORK = multiprocessing.get_context("fork")


def _open(path: Path, timeout_seconds: float = 10) -> Store:
    return open_store(f"sqlite:///{path}", timeout_seconds=timeout_seconds)


def _count(store: Store, times: int) -> None:
    for _ in range(times):
        store.counts.add(*ended(Logged("etl", "load", 0.1, rows=1)))


def _open_files() -> list[str]:
    return [file.path for file in psutil.Process().open_files()]


def _forked(number: int, work: Callable[[], None]) -> list[ForkProcess]:
    children = [_FORK.Process(target=work, daemon=True) for _ in range(number)]
    for child in children:
        child.start()
    return children


def _rows(store: Store) -> float:
    return pairs(store)[0].rows


def test_threads_and_forks_share_a_store(folder: Path) -> None:
    """A store used by threads and then by forked children, all at once, loses nothing."""
    store = _open(folder / "s.db")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: _count(store, 50), range(3)))
    children = _forked(3, lambda: _count(store, 50))
    _count(store, 50)
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert _rows(store) == 7 * 50
    store.close()


def test_processes_that_start_together_make_one_store(folder: Path) -> None:
    """Eight processes that find no file at the same moment agree on one schema."""
    path = folder / "s.db"
    barrier = _FORK.Barrier(8)

    def start() -> None:
        barrier.wait()
        _count(_open(path), 5)

    children = _forked(8, start)
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 8
    assert _rows(_open(path)) == 40


def test_threads_that_end_leave_no_connection_behind(folder: Path) -> None:
    """A hundred short-lived threads one after another do not use up file descriptors."""
    store = _open(folder / "s.db")
    _count(store, 1)
    before = len(_open_files())
    for _ in range(100):
        thread = threading.Thread(target=_count, args=(store, 1))
        thread.start()
        thread.join()
    assert len(_open_files()) <= before + 10
    store.close()


def test_closing_lets_go_of_the_file_and_a_later_call_opens_it_again(folder: Path) -> None:
    """After close() no descriptor is left, and the store still works."""
    store = _open(folder / "s.db")
    _count(store, 1)
    store.close()
    assert str(folder / "s.db") not in _open_files()
    assert _rows(store) == 1
    store.close()


def test_a_killed_process_leaves_both_the_count_and_the_entry_or_neither(folder: Path) -> None:
    """However often a writer is killed, deferrals counted and entries kept are as many."""
    path = folder / "s.db"

    def defer_for_ever(number: int) -> None:
        store = _open(path)
        for n in range(10_000):
            defer(store, Logged("etl", "load", 0), f"{number}-{n}")

    store = _open(path)
    for number in range(5):
        (child,) = _forked(1, partial(defer_for_ever, number))
        deadline = time.monotonic() + 30
        while not any(e.entry_id.startswith(f"{number}-") for e in store.outbox.entries(100_000)):
            assert time.monotonic() < deadline
        child.kill()
        child.join()
    entries = store.outbox.state().entries
    assert entries == pairs(store)[0].deferred >= 5


def test_a_store_locked_by_another_is_given_up_in_time(folder: Path) -> None:
    """A process that holds the file's lock costs the time-out, not more."""
    path = folder / "s.db"
    store = _open(path, timeout_seconds=0.2)
    _count(store, 1)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError, match=r"the store .*s\.db is busy"):
        _count(store, 1)
    assert 0.15 < time.monotonic() - started < 5
    assert _rows(store) == 1
    blocker.execute("ROLLBACK")
    _count(store, 1)
    assert _rows(store) == 2


def test_an_unknown_version_is_refused(folder: Path) -> None:
    """A file written by a later flowgauge is left alone, with a sentence that says what to do."""
    path = folder / "s.db"
    _count(_open(path), 1)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="schema version 99, this flowgauge knows 2: upgrade"):
        _count(_open(path), 1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no database at all, but long enough to look at" * 50, "is not a SQLite database"),
        (b"short", "is not a SQLite database"),
    ],
)
def test_another_kind_of_file_is_refused(folder: Path, content: bytes, sentence: str) -> None:
    """A file that is something else is neither used nor changed."""
    path = folder / "s.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=sentence):
        _count(_open(path), 1)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    """The sentence says which folder is in the way."""
    (folder / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be opened: .*/file: check the folder"):
        _count(_open(folder / "file" / "sub" / "s.db"), 1)


def test_a_folder_in_place_of_the_file_is_told(folder: Path) -> None:
    """A path that names a folder is told as one, and no disk is blamed."""
    with pytest.raises(StoreError, match="is a folder: name a file in it"):
        _count(_open(folder), 1)
    with pytest.raises(StoreError, match="is a folder: name a file in it"):
        _open(folder).about()


def test_a_disk_that_takes_no_more_is_told_and_recovers(folder: Path) -> None:
    """A write beyond what the disk takes loses that write only."""
    path = folder / "s.db"
    store = _open(path)
    _count(store, 1)

    def write_too_much() -> None:
        _open(path).counts.add()
        size = path.with_name("s.db-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, resource.RLIM_INFINITY))
        try:
            defer(_open(path), Logged("etl", "load", 0), "big", "x" * 100_000)
        except StoreUnavailableError:
            os._exit(7)

    (child,) = _forked(1, write_too_much)
    child.join()
    assert child.exitcode == 7
    assert store.outbox.state().entries == 0
    _count(store, 1)
    assert _rows(store) == 2


def test_a_file_that_was_moved_is_noticed(folder: Path) -> None:
    """Reader and writer go on with what is at the path now, and the moved file is whole."""
    path = folder / "s.db"
    writer, reader = _open(path), _open(path)
    _count(writer, 3)
    assert _rows(reader) == 3
    path.rename(folder / "moved.db")
    assert pairs(reader) == []
    _count(writer, 1)
    assert (_rows(reader), _rows(_open(path))) == (1, 1)
    assert _rows(_open(folder / "moved.db")) == 3
    for store in (writer, reader):
        store.close()


def test_a_file_that_was_replaced_is_noticed(folder: Path) -> None:
    """What was in the log of the one that is gone does not reach the new one."""
    path = folder / "s.db"
    another = _open(folder / "another.db")
    _count(another, 7)
    another.close()
    store = _open(path)
    _count(store, 3)
    (folder / "another.db").replace(path)
    assert _rows(store) == 7
    _count(store, 1)
    assert (_rows(store), _rows(_open(path))) == (8, 8)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


def test_a_removed_file_is_made_anew(folder: Path) -> None:
    """With all that was beside it, or with a log that is left: the log is kept, not used."""
    path = folder / "s.db"
    store = _open(path)
    _count(store, 3)
    content = path.with_name("s.db-wal").read_bytes()
    store.close()
    path.unlink()
    path.with_name("s.db-wal").write_bytes(content)
    path.with_name("s.db-shm").write_bytes(b"of the one that is gone")
    _count(store, 1)
    assert _rows(store) == 1
    (kept,) = folder.glob("s.db-wal.*")
    assert kept.read_bytes() == content
    store.close()


def test_the_exporter_notices_that_the_file_was_replaced(folder: Path) -> None:
    """Its page shows the new file, without a restart."""
    path = folder / "s.db"
    _count(_open(path), 3)
    with exporter(
        folder / "exporter", mlflow_uri=f"http://{LOOPBACK}:1", store=f"sqlite:///{path}"
    ) as url:
        line = 'mlflow_dag_logs_total{dag_id="etl",task_id="load"}'
        assert f"{line} 3.0" in httpx.get(f"{url}/metrics", timeout=30).text
        path.rename(folder / "old.db")
        assert line not in httpx.get(f"{url}/metrics", timeout=30).text
        _count(_open(path), 2)
        assert f"{line} 2.0" in httpx.get(f"{url}/metrics", timeout=30).text


def test_children_forked_while_a_thread_logs_lose_nothing(folder: Path) -> None:
    """Forty, one after another, from the midst of whatever a thread of the parent does."""
    store = _open(folder / "s.db", timeout_seconds=60)
    ended_ = threading.Event()
    logged = 0

    def log() -> None:
        nonlocal logged
        while not ended_.is_set():
            _count(store, 1)
            logged += 1

    thread = threading.Thread(target=log)
    thread.start()
    try:
        children = [*chain.from_iterable(_forked(1, lambda: _count(store, 5)) for _ in range(40))]
        for child in children:
            child.join(60)
    finally:
        ended_.set()
        thread.join()
    assert [child.exitcode for child in children] == [0] * 40
    assert _rows(store) == logged + 40 * 5
    store.close()


def test_a_fork_does_not_wait_for_a_disk_that_hangs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child forked meanwhile says so and leaves the file alone; its parent goes on with it."""
    monkeypatch.setattr(at_fork, "_GRACE_SECONDS", 0.1)
    path = folder / "s.db"
    file = SqliteFile(path, timeout_seconds=1)
    file.write(lambda db: db.execute("CREATE TABLE noted (x)"))
    begun, goes_on = threading.Event(), threading.Event()

    def hang(db: sqlite3.Connection) -> None:
        begun.set()
        goes_on.wait()
        note(db)

    def note(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO noted VALUES (1)")

    def noted() -> int:
        (number,) = file.read(lambda db: db.execute("SELECT COUNT(*) FROM noted").fetchone())
        return int(number)

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(file.write, hang)
        begun.wait()
        ours, childs = _FORK.Pipe()

        def child() -> None:
            try:
                file.read(lambda _: None)
            except StoreUnavailableError as error:
                childs.send(str(error))

        (process,) = _forked(1, child)
        assert "forked while the disk of the store hung" in ours.recv()
        process.join()
        assert process.exitcode == 0
        with pytest.raises(StoreUnavailableError, match="did not answer"):
            hanging.result()
        goes_on.set()
    wait_for(lambda: noted() == 1, "the step has ended")
    wait_for(lambda: not at_fork._gate._within, "its thread has left SQLite")
    (process,) = _forked(1, lambda: file.write(note))
    process.join()
    assert noted() == 2


def test_a_child_does_not_rely_on_its_parents_locks(folder: Path) -> None:
    """A parent that lets go of the file does not take the log away from under its child."""
    store = _open(folder / "s.db")
    _count(store, 1)
    ours, childs = _FORK.Pipe()

    def child() -> None:
        _count(store, 1)
        childs.send("open")
        childs.recv()
        _count(store, 1)
        os._exit(0)

    (process,) = _forked(1, child)
    _count(store, 1)
    assert ours.recv() == "open"
    store.close()
    ours.send("go on")
    process.join()
    assert _rows(_open(folder / "s.db")) == 4


@pytest.mark.parametrize(
    "make",
    [
        "CREATE TABLE alembic_version (version_num TEXT); CREATE TABLE runs (run_uuid TEXT)",
        "PRAGMA journal_mode = WAL; CREATE TABLE windows (x); PRAGMA user_version = 2",
    ],
)
def test_a_database_of_another_program_is_refused(folder: Path, make: str) -> None:
    """MLflow's or Airflow's is neither used nor changed, whoever opens it."""
    path = folder / "mlflow.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(make)
    content = path.read_bytes()
    uses: list[Callable[[], object]] = [
        lambda: pairs(_open(path)),
        lambda: _count(_open(path), 1),
        lambda: recover(path),
    ]
    for use in uses:
        with pytest.raises(StoreError, match=r"mlflow\.db is another program's database"):
            use()
    assert path.read_bytes() == content
    assert list(folder.iterdir()) == [path]


def test_a_disk_that_hangs_holds_up_nobody(folder: Path) -> None:
    """Who uses the store goes on without it in time, and has it again when the disk goes on."""
    over = Event()

    def hang(_: object) -> None:
        over.wait(60)

    file = SqliteFile(folder / "store.db", timeout_seconds=0.2)
    for use in (file.write, file.read):
        with pytest.raises(StoreUnavailableError, match="see whether its disk hangs"):
            use(hang)
    over.set()
    wait_for(lambda: file.write(lambda _: True), "the store answers")
