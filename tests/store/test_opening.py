"""Finding and opening the store."""

import pwd
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from flowgauge.airflow.spool_folder import spool_folder
from flowgauge.errors import FlowgaugeError
from flowgauge.metrics import DAG_LOGS
from flowgauge.store import Count, StoreError, StoreUnavailableError, open_store, store_url


def test_the_environment_variable_names_the_store() -> None:
    """FLOWGAUGE_STORE comes before everything else."""
    environ = {"FLOWGAUGE_STORE": "redis://h:1/2", "AIRFLOW_HOME": "/airflow"}
    assert store_url(environ) == "redis://h:1/2"


def test_the_store_is_a_file_in_airflows_home() -> None:
    """Where Airflow is, tasks and exporter meet in its home without any setting."""
    assert store_url({"AIRFLOW_HOME": "/airflow"}) == "sqlite:////airflow/flowgauge.db"


def test_elsewhere_the_store_is_in_the_users_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_STATE_HOME, else ~/.local/state, as the XDG specification has it."""
    monkeypatch.setenv("HOME", "/home/me")
    assert store_url({"XDG_STATE_HOME": "/state"}) == "sqlite:////state/flowgauge/flowgauge.db"
    assert store_url({}) == "sqlite:////home/me/.local/state/flowgauge/flowgauge.db"


@pytest.mark.parametrize("home", ["~/airflow", "$HOME/airflow"])
def test_airflows_home_is_what_airflow_takes_it_for(
    monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """In a file that no shell has read, too: a spool of that very name would be anywhere."""
    monkeypatch.setenv("HOME", "/home/me")
    assert store_url({"AIRFLOW_HOME": home}) == "sqlite:////home/me/airflow/flowgauge.db"
    assert spool_folder({"AIRFLOW_HOME": home}) == Path("/home/me/airflow/flowgauge-spool")


def test_a_user_without_a_home_has_a_place_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it can be written to is told like that of any other."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    assert store_url({}) == "sqlite:////.local/state/flowgauge/flowgauge.db"
    assert spool_folder({}) == Path("/.local/state/flowgauge/flowgauge-spool")


def test_the_default_store_is_made_on_first_use(folder: Path) -> None:
    """Its folder needs not exist; opening and reading alone make nothing."""
    store = open_store(environ={"XDG_STATE_HOME": str(folder / "state")}, timeout_seconds=10)
    assert list(store.windows.states()) == []
    assert not (folder / "state").exists()
    store.counts.add(Count(DAG_LOGS, ("etl", "load")))
    assert (folder / "state" / "flowgauge" / "flowgauge.db").exists()
    store.close()


def test_a_relative_path_is_relative(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slashes name a file in the working directory, four an absolute one."""
    monkeypatch.chdir(folder)
    store = open_store("sqlite:///here.db")
    store.init()
    store.close()
    assert (folder / "here.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@h/db",
        "sqlite:///",
        "sqlite://",
        "sqlite:///store.db?timeout=30",
        "/tmp/store.db",
        "redis://u:secret@h:x/0",
        "redis://u:sec/ret@h/0",
        "redis://u:secret@h/zero",
        "redis://u:secret@h/0/1",
        "redis://u:secret@h,h2/0",
        "redis://u:secret@h:70000/0",
        "redis://u:secret@h/0?timeout=1",
        "redis://u:secret@h/0?socket_timeout=5",
        "redis://u:secret@h/0?wait_replicas=all",
        "redis://u:secret@h/0?ssl_ca_certs=/ca.pem",
        "redis://u:secret@h/0?sentinel_password=secret",
        "redis+sentinel://u:secret@h:26379",
        "redis+sentinel://u:secret@h:26379,/m",
        "redis+cluster://u:secret@h/1",
        "unix://u:secret@/",
        "postgresql://u:secret@h/d?no=1",
        "postgresql://u:secret@h/d?connect_timeout=soon",
        "postgresql://u:secret@h/d?connect_timeout=10",
    ],
)
def test_any_other_url_is_refused_in_one_sentence(url: str) -> None:
    """The sentence names the URL, says what to use instead, and keeps the password to itself."""
    with pytest.raises(StoreError) as caught:
        open_store(url)
    sentence = str(caught.value)
    assert isinstance(caught.value, FlowgaugeError)
    assert "secret" not in sentence
    assert "ret@" not in sentence
    assert "\n" not in sentence
    assert "use " in sentence or "is no " in sentence or "leave " in sentence


@pytest.mark.parametrize(
    "url",
    [
        "redis://h/0",
        "redis+sentinel://h,h2/m",
        "redis+cluster://h,h2",
        "postgresql://h/d",
        "postgresql://h,h2/d",
    ],
)
def test_a_name_that_is_looked_up_for_long_is_given_up_in_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads go on meanwhile."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait())
    try:
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="does not answer in time"):
            open_store(url).windows.reset("api")
        # Half a second is promised; a busy machine may schedule the process late.
        assert time.monotonic() - started < 2
    finally:
        over.set()


def test_a_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what to install; there is no traceback in a task."""
    monkeypatch.delitem(sys.modules, "flowgauge.store.postgres", raising=False)
    for name in list(sys.modules):
        if name.startswith(("psycopg", "flowgauge.store.postgres")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"needs psycopg.*: pip install 'flowgauge\[postgres\]'"):
        open_store("postgresql://h/d")


@pytest.mark.parametrize("fault", ["ImportError('no pq wrapper')", "AttributeError('half of it')"])
def test_a_client_that_does_not_load_is_named(
    folder: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half upgrade, or a psycopg that lacks its library, is a sentence too, not a failed task."""
    for name in list(sys.modules):
        if name.startswith(("psycopg", "flowgauge.store.postgres")):
            monkeypatch.delitem(sys.modules, name)
    (folder / "psycopg.py").write_text(f"raise {fault}")
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(StoreError, match=r"does not load .*: pip install .*\[postgres\]'"):
        open_store("postgresql://h/d")
