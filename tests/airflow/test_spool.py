"""Payloads in files: what the store did not take, and how it gets there in the end."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest

from flowgauge.airflow.entry import Entry
from flowgauge.airflow.spool import drain_spool, spool, spool_state
from flowgauge.store import Store, open_store
from flowgauge.store.errors import StoreError
from flowgauge.store.private import temporary_file
from stack.process import wait_for
from tests.counting import pairs

_FOREVER = 600.0


_AT_EXIT = """
import atexit
from flowgauge.airflow import log_with_mlflow
atexit.register(lambda: log_with_mlflow({"rows": 1}, experiment="e"))
"""


def _environ(folder: Path) -> dict[str, str]:
    return {"AIRFLOW_HOME": str(folder)}


def _spool(folder: Path, count: int) -> None:
    for number in range(count):
        entry = Entry(
            "etl", "load", 0, "x", str(number), {"rows": number}, {}, {}, uuid4().hex, rows=1
        )
        spool(entry, 0.1, "unreachable", _environ(folder))


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """An empty store."""
    with closing(open_store(f"sqlite:///{folder}/store.db", timeout_seconds=30)) as opened:
        yield opened


def test_all_at_once_move_each_once(folder: Path, store: Store) -> None:
    """Several that drain the spool share the work; each payload is in the outbox, counted once."""
    _spool(folder, 60)
    assert spool_state(_environ(folder)).waiting == 60
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(drain_spool, store, seconds=_FOREVER, environ=_environ(folder))
    names = [Entry.from_json(entry.body).run_name for entry in store.outbox.entries(100)]
    assert sorted(names, key=str) == sorted(map(str, range(60)))
    (pair,) = pairs(store)
    assert (pair.deferred, pair.failures) == (60, {"unreachable": 60})
    assert list((folder / "flowgauge-spool").iterdir()) == []


def test_no_more_is_moved_than_there_is_time_for(folder: Path, store: Store) -> None:
    """However full the spool is, whoever drains it stops when the time is over."""
    _spool(folder, 3)
    drain_spool(store, seconds=0, environ=_environ(folder))
    assert spool_state(_environ(folder)).waiting == 3
    assert store.outbox.entries(10) == []


def test_a_file_that_is_no_payload_is_set_aside(
    folder: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told of once, seen in the state, and holds up no other."""
    _spool(folder, 1)
    place = folder / "flowgauge-spool"
    well = json.loads(next(place.iterdir()).read_text())
    torn = json.dumps(json.loads(well["body"]) | {"dag_id": "\ud800"})
    wrong = [
        *({"duration_seconds": "1"}, {"duration_seconds": 1e99}, {"reason": 1}),
        *({"body": "{}"}, {"body": torn}),
    ]
    texts = [
        *("not ours", "[]", '{"body": 1}', "\ud800", "[" * 100_000),
        *(json.dumps(well | each) for each in wrong),
    ]
    for number, text in enumerate(texts):
        (place / f"meddled{number}.json").write_bytes(text.encode(errors="surrogatepass"))
    os.mkfifo(place / "pipe.json")
    (place / "folder.json").mkdir()
    for _ in range(2):
        drain_spool(store, seconds=_FOREVER, environ=_environ(folder))
    state = spool_state(_environ(folder))
    assert (state.waiting, state.bad, state.folder) == (0, len(texts) + 2, place)
    assert len(store.outbox.entries(10)) == 1
    assert caplog.text.count("is no spooled payload") == len(texts) + 2


def test_what_a_killed_process_took_is_taken_again(folder: Path, store: Store) -> None:
    """A file that somebody was about to move is left to them for a minute, and no longer."""
    _spool(folder, 1)
    (file,) = (folder / "flowgauge-spool").iterdir()
    file.rename(file.with_name(f"{file.stem}.0123.taken"))
    drain_spool(store, seconds=_FOREVER, environ=_environ(folder))
    assert (spool_state(_environ(folder)).waiting, store.outbox.entries(10)) == (1, [])
    later = time.time() + 61
    drain_spool(store, seconds=_FOREVER, environ=_environ(folder), clock=lambda: later)
    assert (spool_state(_environ(folder)).waiting, len(store.outbox.entries(10))) == (0, 1)


def test_a_store_that_is_down_leaves_the_file(folder: Path) -> None:
    """The file waits on under its name, and the caller is told."""
    _spool(folder, 2)
    before = sorted((folder / "flowgauge-spool").iterdir())
    with closing(open_store("redis://127.0.0.1:9/0")) as down, pytest.raises(StoreError):
        drain_spool(down, seconds=_FOREVER, environ=_environ(folder))
    assert sorted((folder / "flowgauge-spool").iterdir()) == before


@pytest.mark.parametrize("place", ["there", "none"])
def test_the_payload_is_in_the_log_on_request(
    folder: Path, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    """Where the task's folder ends with the task, its log may have it; unasked it is not shown."""
    if place == "none":
        (folder / "flowgauge-spool").write_text("no folder")
    entry = Entry("etl", "load", 0, "x", "r", {}, {"password": "hunter2"}, {}, uuid4().hex)
    spool(entry, 0.1, "unreachable", _environ(folder))
    assert "hunter2" not in caplog.text
    assert "flowgauge-spool" in caplog.text
    spool(entry, 0.1, "unreachable", {**_environ(folder), "FLOWGAUGE_LOG_PAYLOADS": "true"})
    _, _, logged = caplog.text.partition("[payload] ")
    kept = json.loads(logged.splitlines()[0])
    assert kept["reason"] == "unreachable"
    assert Entry.from_json(kept["body"]) == entry


def test_a_disk_that_hangs_holds_up_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The call ends all the same; a disk that answers while its process lives has the payload."""
    answers = Event()

    def hang(place: Path) -> Path:
        answers.wait()
        return temporary_file(place)

    monkeypatch.setattr("flowgauge.airflow.spool.temporary_file", hang)
    _spool(folder, 1)
    assert "flowgauge-spool either (the disk does not answer): it is lost unless" in caplog.text
    answers.set()
    wait_for(lambda: spool_state(_environ(folder)).waiting == 1, "the payload in the spool")


@pytest.mark.as_root
def test_a_file_that_cannot_be_removed_stops_no_other() -> None:
    """Another user's file in a folder where only owners remove theirs is left, and not sent."""
    # Everything is imported before the user is changed.
    code = """
import os, sys
from flowgauge.airflow.spool import drain_spool, spool_state
from flowgauge.store import open_store
import flowgauge.store.sqlite
os.setgid(61001); os.setuid(61001)
environ = {"AIRFLOW_HOME": sys.argv[1]}
store = open_store(f"sqlite:///{sys.argv[1]}/store.db", timeout_seconds=30)
drain_spool(store, seconds=600, environ=environ)
print(spool_state(environ).waiting, len(store.outbox.entries(10)))
"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        _spool(folder, 3)
        place = folder / "flowgauge-spool"
        place.chmod(0o1777)
        for number, file in enumerate(place.iterdir()):
            file.chmod(0o644)
            if number:
                os.chown(file, 61001, 61001)
        os.chown(place, 0, 0)
        done = subprocess.run(
            [sys.executable, "-c", code, name], capture_output=True, text=True, check=True
        )
    assert done.stdout == "1 2\n"
    assert "cannot be moved into the outbox" in done.stderr


def test_a_first_call_at_the_interpreters_exit_is_kept(folder: Path) -> None:
    """Python does not load everything any more by then; here neither Redis nor MLflow is there."""
    environ = {
        "FLOWGAUGE_STORE": "redis://127.0.0.1:9",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        **_environ(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", _AT_EXIT],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "defect" not in done.stderr
    assert spool_state(environ).waiting == 1


def test_children_forked_during_first_calls_log(folder: Path) -> None:
    """Of 40 children forked while threads of their parent load what a call needs, none hangs."""
    environ = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", **_environ(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "stack.faults.held", "now", "forks", "3", "1"],
        env={**os.environ, **environ, "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in done.stderr
    words = [line.split()[0] for line in done.stdout.splitlines()]
    assert words.count("end") == words.count("begin") > 40
    with closing(open_store(f"sqlite:///{folder}/store.db", timeout_seconds=30)) as store:
        # The store may have been too busy for some, and may have taken those all the same.
        drain_spool(store, seconds=_FOREVER, environ=environ)
        assert store.outbox.state().entries == words.count("end")
