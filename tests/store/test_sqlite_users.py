"""Whose a SQLite file is, and who else may read or write it."""

import os
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowgauge.diagnosis.store import ask_store
from flowgauge.store import Store, open_store
from flowgauge.store.log_calls import Logged, ended
from stack.process import python_tool
from tests.counting import pairs

_COUNTS = ended(Logged("etl", "load", 0.1))
_TASKS, _EXPORTER = 61001, 61002
_GROUP, _OTHER = 61011, 61012

_ASKING = "from flowgauge.diagnosis.store import ask_store"
# Everything is imported before the user is changed: the tests' own folders may be closed to others.
_PRELUDE = """
import os, sys
from flowgauge.store import open_store, StoreError
from flowgauge.store.log_calls import Logged, ended
from flowgauge.store.sqlite import SqliteEngine
os.umask(0o077)
if len(sys.argv) > 2:
    uid, gid, more = map(int, sys.argv[2:])
    os.setgroups([more] if more else [])
    os.setgid(gid)
    os.setuid(uid)
store = open_store(sys.argv[1], timeout_seconds=10)
def count():
    store.counts.add(*ended(Logged("etl", "load", 0.1)))
def logs():
    return sum(int(each.values.get(("mlflow_dag_logs_total",), 0)) for each in
        store.counts.totals("dag_id", "task_id"))
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user reaches."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


class _User:
    """Somebody who runs Python on the store at *path*."""

    def __init__(self, path: Path, *ids: int) -> None:
        self._arguments = [f"sqlite:///{path}", *map(str, ids)]

    def run(self, code: str, imports: str = "") -> str:
        script = f"{imports}{_PRELUDE}{textwrap.dedent(code)}"
        command = [sys.executable, "-c", script, *self._arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def start(self, code: str, then: str = "sys.stdin.read()") -> subprocess.Popen[str]:
        script = f"{_PRELUDE}{code}\nprint('ready', flush=True)\n{then}"
        process = subprocess.Popen(
            [sys.executable, "-c", script, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process


def _modes(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


def _written(path: Path) -> Store:
    store = open_store(f"sqlite:///{path}", timeout_seconds=10)
    store.counts.add(*_COUNTS)
    return store


def test_the_file_and_its_folders_are_the_users_alone(folder: Path) -> None:
    """Whatever the umask: file, log, index and the folders made for it are closed to others."""
    before = os.umask(0)
    try:
        store = _written(folder / "new" / "er" / "s.db")
    finally:
        os.umask(before)
    assert _modes(folder / "new" / "er") == dict.fromkeys(("s.db", "s.db-wal", "s.db-shm"), 0o600)
    assert (_modes(folder), _modes(folder / "new")) == ({"new": 0o700}, {"er": 0o700})
    store.close()


def test_a_folder_shared_by_a_group_shares_the_file(folder: Path) -> None:
    """Setgid and writable by the group: the folder says it, whatever the umask."""
    (folder / "shared").mkdir()
    (folder / "shared").chmod(0o2770)
    before = os.umask(0o077)
    try:
        store = _written(folder / "shared" / "sub" / "s.db")
    finally:
        os.umask(before)
    assert _modes(folder / "shared") == {"sub": 0o2770}
    names = ("s.db", "s.db-wal", "s.db-shm")
    assert _modes(folder / "shared" / "sub") == dict.fromkeys(names, 0o660)
    store.close()


def test_who_only_reads_makes_nothing(folder: Path) -> None:
    """Exporter, list and check find an empty store where none is, and leave it so."""
    url = f"sqlite:///{folder}/none/s.db"
    store = open_store(url, timeout_seconds=10)
    assert pairs(store) == []
    assert store.outbox.state().entries == 0
    assert (list(store.windows.states()), list(store.outbox.entries(5))) == ([], [])
    assert "answers, SQLite 3" in ask_store(url)
    command = [python_tool("flowgauge"), "outbox", "list", "--store", url]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert listed.stdout.endswith("nothing was ever logged to it\nthe outbox is empty\n")
    assert list(folder.iterdir()) == []


def test_an_empty_file_stays_as_it_was_prepared(folder: Path) -> None:
    """A file that somebody made with permissions of its own is used with these, and only read."""
    (folder / "s.db").touch()
    (folder / "s.db").chmod(0o640)
    reading = open_store(f"sqlite:///{folder}/s.db", timeout_seconds=10)
    assert pairs(reading) == []
    assert (folder / "s.db").stat().st_size == 0
    _written(folder / "s.db").close()
    assert _modes(folder) == {"s.db": 0o640}
    assert pairs(reading)[0].logs == 1
    reading.close()


def test_a_file_that_may_not_be_written_is_told(shared: Path) -> None:
    """Without write permission the sentence says so, and what is there can be read."""
    path = shared / "s.db"
    _written(path).close()
    path.chmod(0o444)
    shared.chmod(0o555)
    # Root may write anything: it becomes somebody else first.
    ids = (_TASKS, _GROUP, 0) if os.geteuid() == 0 else ()
    said = _User(path, *ids).run(
        "print(logs())\ntry: count()\nexcept StoreError as error: print(error)"
    )
    shared.chmod(0o755)
    assert said.startswith("1\n")
    assert "cannot be written by this user" in said
    assert "check the permissions" in said


@pytest.mark.as_root
@pytest.mark.parametrize("first", ["tasks", "exporter"])
def test_tasks_and_exporter_are_different_users_of_one_group(shared: Path, first: str) -> None:
    """Whoever comes first, both read and write, while the other is there and after it is gone."""
    folder = shared / "store"
    folder.mkdir()
    os.chown(folder, _TASKS, _GROUP)
    folder.chmod(0o2770)
    path = folder / "s.db"
    # One has the group as its own, the other as one more.
    users = {
        "tasks": _User(path, _TASKS, _OTHER, _GROUP),
        "exporter": _User(path, _EXPORTER, _GROUP, 0),
    }
    second = ({"tasks", "exporter"} - {first}).pop()
    there = users[first].start("count(); logs()")
    assert users[second].run("print(logs()); count(); print(logs())").split() == ["1", "2"]
    there.communicate()
    assert users[second].run("count(); print(logs())") == "3"
    assert users[first].run("count(); print(logs())") == "4"
    there = users[second].start("count()")
    there.kill()
    there.communicate()
    assert users[first].run("count(); print(logs())") == "6"
    assert set(_modes(folder).values()) == {0o660}


@pytest.mark.as_root
@pytest.mark.parametrize("folder_mode", [0o777, 0o755])
def test_an_exporter_of_another_user_leaves_nothing_behind(shared: Path, folder_mode: int) -> None:
    """It reads what is there with tasks at work, gone, killed; and they are never locked out."""
    folder = shared / "store"
    folder.mkdir()
    os.chown(folder, _TASKS, _GROUP)
    folder.chmod(folder_mode)
    path = folder / "s.db"
    tasks, exporter = _User(path, _TASKS, _GROUP, 0), _User(path, _EXPORTER, _OTHER, 0)
    tasks.run("count()")
    path.chmod(0o644)
    assert exporter.run("print(logs())") == "1"
    assert list(folder.iterdir()) == [path]
    at_work = tasks.start("count()")
    reading = exporter.start("assert logs() == 2")
    assert tasks.run("count(); print(logs())") == "3"
    assert exporter.run("print(logs())") == "3"
    at_work.kill()
    at_work.communicate()
    assert exporter.run("print(logs())") == "3"
    assert tasks.run("count(); print(logs())") == "4"
    reading.communicate()
    assert tasks.run("count(); print(logs())") == "5"
    assert exporter.run("print(logs())") == "5"
    assert {each.stat().st_uid for each in folder.iterdir()} == {_TASKS}


@pytest.mark.as_root
def test_an_exporter_that_stays_sees_tasks_come_and_go(shared: Path) -> None:
    """One process of another user, with no task there, with one, and again with none."""
    shared.chmod(0o777)
    path = shared / "s.db"
    tasks, exporter = _User(path, _TASKS, _GROUP, 0), _User(path, _EXPORTER, _OTHER, 0)
    tasks.run("count()")
    path.chmod(0o644)
    reading = exporter.start("pass", "for _ in sys.stdin: print(logs(), flush=True)")

    def seen() -> str:
        assert reading.stdin
        assert reading.stdout
        reading.stdin.write("?\n")
        reading.stdin.flush()
        return reading.stdout.readline().strip()

    assert seen() == "1"
    at_work = tasks.start("count()")
    assert seen() == "2"
    tasks.run("count()")
    at_work.communicate()
    assert seen() == "3"
    tasks.run("count()")
    assert seen() == "4"
    path.rename(shared / "old.db")
    assert seen() == "0"
    tasks.run("count()")
    path.chmod(0o644)
    assert seen() == "1"
    reading.communicate()


@pytest.mark.as_root
@pytest.mark.parametrize("index_stays", [False, True])
def test_a_log_that_goes_while_another_user_opens_it_is_not_made_anew(
    shared: Path, index_stays: bool
) -> None:
    """The last task may leave at any moment: even then the reader's traces are removed."""
    shared.chmod(0o777)
    path = shared / "s.db"
    tasks = _User(path, _TASKS, _GROUP, 0)
    tasks.run("count()")
    path.chmod(0o644)
    index = path.with_name("s.db-shm")
    if index_stays:
        index.write_bytes(bytes(32768))
        index.chmod(0o644)
    seen = _User(path, _EXPORTER, _OTHER, 0).run(
        """
        from flowgauge.store.sqlite.place import Place
        looks = Place.has_log
        Place.has_log = lambda self: setattr(Place, "has_log", looks) or True
        print(logs())
        """
    )
    assert seen == "1"
    assert not path.with_name("s.db-wal").exists()
    index.unlink(missing_ok=True)
    assert tasks.run("count(); print(logs())") == "2"


@pytest.mark.as_root
def test_what_only_the_owner_can_read_is_told(shared: Path) -> None:
    """Killed tasks leave a log; without its index another user says who has to come first."""
    shared.chmod(0o777)
    path = shared / "s.db"
    tasks, exporter = _User(path, _TASKS, _GROUP, 0), _User(path, _EXPORTER, _OTHER, 0)
    left = tasks.start("count()")
    left.kill()
    left.communicate()
    for each in shared.iterdir():
        each.chmod(0o644)
    path.with_name("s.db-shm").unlink()
    told = "try: logs()\nexcept StoreError as error: print(error)"
    assert f"can be read again once user {_TASKS} has" in exporter.run(told, imports=_ASKING)
    tasks.run("count()")
    assert exporter.run("print(logs())") == "2"


@pytest.mark.as_root
def test_another_user_who_would_write_is_refused(shared: Path) -> None:
    """What it made beside the file would lock out its owner: the sentence says how to share."""
    shared.chmod(0o777)
    path = shared / "s.db"
    _User(path, _TASKS, _GROUP, 0).run("count()")
    path.chmod(0o644)
    said = _User(path, _EXPORTER, _OTHER, 0).run(
        """
        try:
            count()
        except StoreError as error:
            print(error)
        (pair,) = store.counts.page("dag_id,task_id", -1, 5)
        from flowgauge.store.counts import Change
        print(store.counts.fold("dag_id,task_id", pair, Change("dag_id,task_id", "[]", [])))
        """
    )
    assert f"cannot be written by this user: it belongs to user {_TASKS}" in said
    assert "2770" in said
    assert said.endswith("False")
    assert list(shared.iterdir()) == [path]


@pytest.mark.as_root
def test_who_cannot_write_is_told_before_a_task_fails(shared: Path) -> None:
    """`flowgauge check` names the folder in which no store can be made, and a store to read only.

    A user without a home, as containers have, would else be told that all is well.
    """
    told = """
        try:
            print(ask_store(sys.argv[1]))
        except StoreError as error:
            print(error)
    """
    path = shared / "home" / "s.db"
    said = _User(path, _EXPORTER, _OTHER, 0).run(told, imports=_ASKING)
    assert f"is not there yet, and this user cannot make it in {shared}: run this as the" in said
    assert list(shared.iterdir()) == []
    path.parent.mkdir(0o755)
    os.chown(path.parent, _TASKS, _GROUP)
    tasks = _User(path, _TASKS, _GROUP, 0)
    assert "can only read" not in tasks.run(told, imports=_ASKING)
    tasks.run("count()")
    path.chmod(0o644)
    assert ", which this user can only read" in _User(path, _EXPORTER, _OTHER, 0).run(
        told, imports=_ASKING
    )
    assert "can only read" not in tasks.run(told, imports=_ASKING)


@pytest.mark.as_root
def test_what_root_makes_belongs_to_the_owner_of_the_folder(shared: Path) -> None:
    """`flowgauge store init` by root in Airflow's home does not lock Airflow out."""
    home = shared / "home"
    home.mkdir()
    os.chown(home, _TASKS, _GROUP)
    store = _written(home / "sub" / "s.db")
    assert _User(home / "sub" / "s.db", _TASKS, _GROUP, 0).run("count(); print(logs())") == "2"
    store.close()
