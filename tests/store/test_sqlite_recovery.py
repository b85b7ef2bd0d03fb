"""What is left of a SQLite file that was damaged."""

import os
import resource
import sqlite3
import stat
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest

from flowgauge.metrics import DAG_ROWS
from flowgauge.store import Count, Lease, Store, StoreError, open_store
from flowgauge.store.log_calls import Logged
from stack.process import LOOPBACK, python_tool
from tests.counting import defer, pairs, rate_limit

_ENTRIES = 60
_PAGE = 4096


def _open(path: Path) -> Store:
    return open_store(f"sqlite:///{path}", timeout_seconds=10)


@pytest.fixture
def path(folder: Path) -> Path:
    """A store with a rate limit, counts and an outbox of bodies that fill a page each."""
    path = folder / "s.db"
    with closing(_open(path)) as store:
        store.windows.acquire("api", "t", 3, 600, 0)
        for number in range(_ENTRIES):
            defer(store, Logged("etl", f"t{number % 7}", 0.1), f"e{number:02}", f"{number}" * 3000)
        store.outbox.claim(Lease("me", 600), 1)
        store.outbox.set_aside("e05", "rejected", "MLflow refuses it")
    return path


def _recover(path: Path) -> str:
    command = [python_tool("flowgauge"), "store", "recover", "--store", f"sqlite:///{path}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _root_page(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        number: int = db.execute(query, (name,)).fetchone()[0]
    return number


def _overwrite(path: Path, offset: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * size)


def _kept(path: Path) -> Path:
    (kept,) = (each for each in path.parent.glob("*.damaged-*") if each.suffix.count("-") == 1)
    return kept


def test_a_damaged_store_names_the_command_and_is_not_made_anew(path: Path) -> None:
    """Reading and writing say so in one sentence, and leave the file as it is."""
    _overwrite(path, _PAGE, path.stat().st_size - _PAGE)
    content = path.read_bytes()
    store = _open(path)
    for use in (
        lambda: store.outbox.entries(1000),
        lambda: store.counts.add(Count(DAG_ROWS, ("a", "b"))),
    ):
        with pytest.raises(StoreError, match=r"is damaged: run `flowgauge store recover`"):
            use()
    store.close()
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["outbox", "outbox_by_age", "counts"])
def test_what_is_readable_is_recovered(path: Path, name: str) -> None:
    """With the root of a table or an index gone, the rest is there, and the file is sound."""
    _overwrite(path, (_root_page(path, name) - 1) * _PAGE, _PAGE)
    path.chmod(0o640)
    said = _recover(path)
    store = _open(path)
    entries = store.outbox.entries(1000)
    assert f"recovered {len(entries)} payloads in the outbox" in said
    if name == "outbox":
        assert f"could not read {_ENTRIES} payloads more" in said
    else:
        assert [(e.entry_id, e.body) for e in entries] == [
            (f"e{number:02}", f"{number}" * 3000) for number in range(_ENTRIES)
        ]
        assert [e.entry_id for e in entries if e.poison] == ["e05"]
        assert "could not read" not in said
    if name != "counts":
        assert sum(pair.deferred for pair in pairs(store)) == _ENTRIES
    assert rate_limit(store, "api").window_calls == 1
    # The lease of before holds, and new entries go behind the old ones.
    defer(store, Logged("etl", "t", 0), "new")
    claimed = [entry.entry_id for entry in store.outbox.claim(Lease("me", 60), 1000)]
    assert claimed == [e.entry_id for e in entries if e.entry_id not in ("e00", "e05")] + ["new"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(_kept(path)) in said
    store.close()


def test_one_damaged_payload_costs_that_one(path: Path) -> None:
    """In the midst of the outbox: what is before it and behind it is recovered."""
    with closing(sqlite3.connect(path)) as db:
        (body,) = db.execute("SELECT body FROM outbox WHERE entry_id = 'e30'").fetchone()
    content = path.read_bytes()
    # An entry's cell is in a page of its own: the head of that page goes.
    page = content.index(b"e30") // _PAGE
    while (
        content[page * _PAGE] != 0x0D
        or body[:100].encode() not in content[page * _PAGE : (page + 1) * _PAGE]
    ):
        page = content.index(b"e30", (page + 1) * _PAGE) // _PAGE
    _overwrite(path, page * _PAGE, 8)
    said = _recover(path)
    ids = {entry.entry_id for entry in _open(path).outbox.entries(1000)}
    lost = {f"e{number:02}" for number in range(_ENTRIES)} - ids
    assert "e30" in lost
    assert len(lost) < 5
    assert f"could not read {len(lost)} payloads more" in said


def test_a_file_without_a_readable_head_is_kept_and_made_anew(path: Path) -> None:
    """Nothing of it is readable: the command says so, and tasks go on."""
    _overwrite(path, 0, 100)
    content = path.read_bytes()
    with pytest.raises(StoreError, match=r"is not a SQLite database: .*store recover"):
        _open(path).outbox.state()
    assert "recovered 0 payloads in the outbox, 0 counts, 0 rate limits" in _recover(path)
    assert _kept(path).read_bytes() == content
    defer(_open(path), Logged("etl", "t", 0), "new")


def test_a_sound_store_is_left_alone(path: Path) -> None:
    """Also while tasks use it."""
    store = _open(path)
    store.outbox.state()
    inode = path.stat().st_ino
    assert f"{path} is sound: nothing to recover" in _recover(path)
    assert path.stat().st_ino == inode
    store.close()


def test_a_disk_without_room_leaves_the_damaged_store(path: Path) -> None:
    """One sentence says so, and no empty store takes its place; with room it is recovered."""
    _overwrite(path, (_root_page(path, "outbox_by_age") - 1) * _PAGE, _PAGE)
    content = path.read_bytes()
    command = [python_tool("flowgauge"), "store", "recover", "--store", f"sqlite:///{path}"]
    most = (len(content) // 2, resource.RLIM_INFINITY)
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, most),
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"flowgauge: the store {path} cannot be")
    # SQLite's own files may be beside it.
    assert {each.name.partition("-")[0] for each in path.parent.iterdir()} == {path.name}
    assert path.read_bytes() == content
    assert f"recovered {_ENTRIES} payloads in the outbox" in _recover(path)


def test_what_tasks_do_meanwhile_is_not_lost(path: Path) -> None:
    """Whoever has the damaged file open goes on in the new one."""
    _overwrite(path, (_root_page(path, "outbox_by_age") - 1) * _PAGE, _PAGE)
    ended = threading.Event()
    counted = 0
    store = _open(path)

    def count() -> None:
        nonlocal counted
        while not ended.is_set():
            store.counts.add(Count(DAG_ROWS, ("etl", "meanwhile")))
            counted += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        _recover(path)
        after = counted
        while counted == after and thread.is_alive():
            pass
    finally:
        ended.set()
        thread.join()
    (rows,) = [pair.rows for pair in pairs(_open(path)) if pair.task_id == "meanwhile"]
    assert rows == counted
    store.close()


@pytest.mark.parametrize(
    ("url", "sentence", "code"),
    [
        (f"redis://me:secret@{LOOPBACK}/0", "me:***@127.0.0.1/0 is no SQLite file", 2),
        ("sqlite:////nowhere/s.db", "the store /nowhere/s.db is not there: nothing to recover", 1),
    ],
)
def test_what_cannot_be_recovered_is_told(url: str, sentence: str, code: int) -> None:
    """A server's data, or no file at all."""
    command = [python_tool("flowgauge"), "store", "recover", "--store", url]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ)
    assert (done.returncode, sentence in done.stderr) == (code, True)
