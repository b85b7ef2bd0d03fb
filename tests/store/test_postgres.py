"""What can happen to a PostgreSQL, and who may use it."""

import multiprocessing
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import psutil
import psycopg
import pytest

from flowgauge.store import Lease, Store, StoreError, StoreUnavailableError, open_store
from flowgauge.store.log_calls import Logged, ended
from stack.pgbouncer import pgbouncer
from stack.postgres import Postgres, postgres
from stack.process import LOOPBACK, free_port, python_tool
from tests.counting import defer, pairs, rate_limit

_COUNTS = ended(Logged("etl", "load", 0.1))
_FORK = multiprocessing.get_context("fork")


@pytest.fixture
def private(folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL that the test may break."""
    with postgres(folder / "private") as server:
        yield server


@pytest.fixture
def empty(own_postgres: Postgres) -> Postgres:
    """A PostgreSQL without our schema."""
    _execute(own_postgres, "DROP SCHEMA IF EXISTS flowgauge CASCADE")
    return own_postgres


def _execute(server: Postgres, *statements: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _refusal(store: Store) -> str:
    with pytest.raises(StoreError) as caught:
        store.counts.add(*_COUNTS)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "secret" not in sentence
    return sentence


def test_a_server_that_hangs_is_given_up_in_time(private: Postgres, folder: Path) -> None:
    """A stopped server costs the time-out, known or new to the process; then it works."""
    known = open_store(private.url, timeout_seconds=5)
    known.counts.add(*_COUNTS)
    known = open_store(private.url)
    known.about()
    postmaster = int((folder / "private" / "pgdata" / "postmaster.pid").read_text().split()[0])
    group = [postmaster, *(child.pid for child in psutil.Process(postmaster).children())]
    for pid in group:
        os.kill(pid, signal.SIGSTOP)
    try:
        for store in (known, open_store(private.url)):
            started = time.monotonic()
            with pytest.raises(StoreUnavailableError, match="does not answer in time"):
                store.counts.add(*_COUNTS)
            # Half a second is promised; a busy machine may schedule the process late.
            assert time.monotonic() - started < 2
    finally:
        for pid in group:
            os.kill(pid, signal.SIGCONT)
    assert pairs(open_store(private.url, timeout_seconds=10))[0].logs >= 1


def test_hosts_that_swallow_everything_are_given_up_in_time(own_postgres: Postgres) -> None:
    """Several that never answer cost one time-out together, and one behind them is reached."""
    with (
        socket.create_server((LOOPBACK, 0)) as one,
        socket.create_server((LOOPBACK, 0)) as other,
    ):
        silent = [f"{LOOPBACK}:{each.getsockname()[1]}" for each in (one, other)]
        store = open_store(f"postgresql://me@{','.join(silent)}/d")
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="does not answer in time"):
            store.counts.add(*_COUNTS)
        # Half a second is promised; a busy machine may schedule the process late.
        assert time.monotonic() - started < 2
        behind = own_postgres.url.replace(LOOPBACK, f"{','.join(silent)},{LOOPBACK}")
        assert "PostgreSQL" in open_store(behind, timeout_seconds=10).about()


def test_a_restarted_server_is_used_again(folder: Path) -> None:
    """A connection that the restart closed is noticed before it is used: the next call works."""
    port = free_port()
    with postgres(folder / "server", port=port) as server:
        store = open_store(server.url, timeout_seconds=10)
        store.counts.add(*_COUNTS)
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        store.counts.add(*_COUNTS)
    with postgres(folder / "server", port=port):
        store.counts.add(*_COUNTS)
        assert pairs(store)[0].logs == 2
        store.close()


def test_a_server_that_is_away_is_told() -> None:
    """The sentence names the address and not the password."""
    store = open_store(f"postgresql://me:secret@{LOOPBACK}:{free_port()}/d")
    assert "the store postgresql://me:***@127.0.0.1" in _refusal(store)
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        store.counts.add(*_COUNTS)


def test_a_server_that_repeats_the_password_is_quoted_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is known, wherever it comes from, so it need not look like one."""
    monkeypatch.setenv("PGPASSWORD", "my secret")
    with socket.create_server((LOOPBACK, 0)) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(_refuse_and_repeat, server)
        port = server.getsockname()[1]
        store = open_store(f"postgresql://a@{LOOPBACK}:{port}/a?sslmode=disable&gssencmode=disable")
        assert "nobody here loves ***" in _refusal(store)


def _refuse_and_repeat(server: socket.socket) -> None:
    """Ask for the password in the clear, and say it.

    https://www.postgresql.org/docs/current/protocol-message-formats.html
    """
    with server.accept()[0] as client:
        client.recv(10_000)
        client.sendall(b"R" + struct.pack("!ii", 8, 3))
        password = client.recv(10_000)[5:-1]
        said = b"SERROR\0C3D000\0Mnobody here loves " + password + b"\0\0"
        client.sendall(b"E" + struct.pack("!i", 4 + len(said)) + said)


def test_a_database_that_is_not_there_is_told(empty: Postgres) -> None:
    """It is named."""
    said = _refusal(open_store(f"{empty.url.removesuffix('mlflow')}nowhere", timeout_seconds=10))
    assert 'database "nowhere" does not exist' in said


def test_a_connection_that_is_refused_is_closed_at_once(empty: Postgres) -> None:
    """Not once nobody remembers the error any more, whoever keeps it."""
    nowhere = open_store(f"{empty.url.removesuffix('mlflow')}nowhere", timeout_seconds=10)
    errors = [_error(nowhere)]
    before = psutil.Process().num_fds()
    errors += [_error(nowhere) for _ in range(10)]
    assert psutil.Process().num_fds() <= before
    assert len(errors) == 11


def _error(store: Store) -> StoreError:
    with pytest.raises(StoreError) as caught:
        store.counts.add(*_COUNTS)
    return caught.value


def test_a_read_only_replica_is_told(empty: Postgres) -> None:
    """What only reads cannot count; the sentence says to name the primary."""
    open_store(empty.url, timeout_seconds=10).init()
    store = open_store(f"{empty.url}?options=-c%20default_transaction_read_only%3Don")
    assert "is a read-only replica: name the primary" in _refusal(store)


def test_a_lock_is_waited_for_within_the_time_out(empty: Postgres) -> None:
    """The server itself gives up, so that the connection is used again."""
    store = open_store(empty.url, timeout_seconds=10)
    store.windows.acquire("api", "a", 1, 60, 0)
    hurried = open_store(empty.url, timeout_seconds=0.4)
    hurried.about()
    with psycopg.connect(empty.url) as other:
        other.execute("LOCK flowgauge.windows")
        with pytest.raises(StoreUnavailableError, match="does not answer in time"):
            hurried.windows.acquire("api", "b", 1, 60, 0)
        other.rollback()
    assert not store.windows.acquire("api", "b", 1, 60, 0).granted
    assert rate_limit(store, "api").hits == 1
    store.close()
    hurried.close()


def test_an_unknown_version_is_refused(empty: Postgres) -> None:
    """Data written by a later flowgauge are left alone, with a sentence that says what to do."""
    open_store(empty.url, timeout_seconds=10).init()
    later = "CREATE OR REPLACE FUNCTION flowgauge.schema_version() RETURNS bigint"
    _execute(empty, f"{later} LANGUAGE sql AS 'SELECT 99::bigint'")
    said = _refusal(open_store(empty.url, timeout_seconds=10))
    assert "has schema version 99, this flowgauge knows 1: upgrade flowgauge" in said


def test_many_who_come_first_prepare_it_together(empty: Postgres) -> None:
    """Each finds it ready, whoever made it, and nobody is refused."""

    def come(_: int) -> None:
        store = open_store(empty.url, timeout_seconds=20)
        store.counts.add(*_COUNTS)
        store.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come, range(8)))
    assert pairs(open_store(empty.url, timeout_seconds=20))[0].logs == 8


def test_who_prepares_it_again_keeps_what_is_there(empty: Postgres) -> None:
    """Functions become those of this version, beside one who goes on; counts and grants stay."""
    store = open_store(empty.url, timeout_seconds=20)
    defer(store, Logged("etl", "load", 0.1), "id")
    store.windows.acquire("api", "a", 1, 60, 0)
    earlier = "CREATE OR REPLACE FUNCTION flowgauge.add(changes jsonb) RETURNS void"
    _execute(empty, f"{earlier} LANGUAGE sql AS 'SELECT'")
    store.counts.add(*_COUNTS)
    assert not pairs(store)[0].logs
    open_store(empty.url, timeout_seconds=20).init()
    store.counts.add(*_COUNTS)
    assert pairs(store)[0].logs == 1
    assert not store.windows.acquire("api", "b", 1, 60, 0).granted
    assert store.outbox.state().entries == 1
    store.close()


@pytest.mark.parametrize("may_execute", ["GRANT {} TO PUBLIC", "REVOKE {} FROM PUBLIC"])
def test_a_role_needs_to_use_the_schema_and_nothing_else(empty: Postgres, may_execute: str) -> None:
    """`flowgauge store init --grant` prepares it, whatever everybody may do by default.

    The role cannot read what is not its business.
    """
    _execute(
        empty,
        "DROP ROLE IF EXISTS tasks",
        "CREATE ROLE tasks LOGIN",
        "REVOKE CREATE ON DATABASE mlflow FROM PUBLIC",
        f"ALTER DEFAULT PRIVILEGES {may_execute.format('EXECUTE ON FUNCTIONS')}",
    )
    url = empty.url.replace("mlflow@", "tasks@")
    store = open_store(url, timeout_seconds=10)
    assert "run `flowgauge store init --grant ROLE`" in _refusal(store)
    init = [python_tool("flowgauge"), "store", "init", "--store", empty.url, "--grant"]
    done = subprocess.run([*init, "tasks"], check=True, capture_output=True, text=True)
    assert "is ready: PostgreSQL 1" in done.stdout
    assert store.windows.acquire("api", "a", 1, 60, 0).granted
    defer(store, Logged("etl", "load", 0.1), "id")
    store.outbox.claim(Lease("me", 60), 1)
    store.outbox.settle("id", _COUNTS)
    assert pairs(store)[0].logs == 1
    store.close()
    with (
        psycopg.connect(url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT body FROM flowgauge.outbox")
    _execute(
        empty,
        "DROP OWNED BY tasks",
        "DROP ROLE tasks",
        "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
    )
    unknown = subprocess.run([*init, "nobody"], check=False, capture_output=True, text=True)
    assert 'role "nobody" does not exist' in unknown.stderr


def test_many_behind_pgbouncer_share_few_sessions(empty: Postgres, folder: Path) -> None:
    """In transaction mode eight threads on two sessions stay exact, and each within its limits."""
    with pgbouncer(folder / "pgbouncer", empty) as url:
        store = open_store(url, timeout_seconds=20)
        store.init()

        def work(number: int) -> int:
            own = open_store(url, timeout_seconds=20)
            granted = 0
            for call in range(20):
                ticket = f"{number}-{call}"
                granted += own.windows.acquire("api", ticket, 50, 600, 0).granted
                own.counts.add(*_COUNTS)
            own.close()
            return granted

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(work, range(8))) == 50
        assert pairs(store)[0].logs == 160
        assert (rate_limit(store, "api").calls, rate_limit(store, "api").hits) == (50, 110)
        store.close()


def test_a_name_server_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up of a name goes on beside, and stops no thread; a name may have many addresses."""
    over = Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: over.wait(60))
    with pytest.raises(StoreUnavailableError, match="does not answer in time"):
        open_store("postgresql://away.example.com/x").about()
    over.set()


def test_a_host_is_found_by_its_name(own_postgres: Postgres) -> None:
    """Each of the addresses that a name has is tried, and a name without one is told."""
    by_name = own_postgres.url.replace(LOOPBACK, "localhost")
    assert open_store(by_name, timeout_seconds=5).about().startswith("PostgreSQL ")
    nowhere = open_store("postgresql://-/x", timeout_seconds=5)
    assert 'no address of the host "-"' in _refusal(nowhere)


def test_threads_and_forks_share_a_store(empty: Postgres) -> None:
    """A store used by threads and then by forked children, all at once, loses nothing."""
    store = open_store(empty.url, timeout_seconds=20)

    def count(times: int) -> None:
        for _ in range(times):
            store.counts.add(*_COUNTS)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(count, [30] * 3))
    children = [_FORK.Process(target=count, args=(30,), daemon=True) for _ in range(3)]
    for child in children:
        child.start()
    count(30)
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert pairs(store)[0].logs == 7 * 30
    store.close()


def test_a_server_clock_set_back_costs_at_most_one_window(empty: Postgres) -> None:
    """Grants and callers in the future of the server's clock hold back calls for one window."""
    store = open_store(empty.url, timeout_seconds=10)
    store.windows.acquire("api", "a", 1, 60, 0)
    store.windows.acquire("api", "dead", 1, 60, 0)
    _execute(
        empty,
        "UPDATE flowgauge.windows SET granted_us = ARRAY[granted_us[1] + 3600000000]",
        "UPDATE flowgauge.tickets SET lease_us = lease_us + 3600000000",
    )
    assert 60 < store.windows.acquire("api", "b", 1, 60, 0).wait_seconds <= 120
    _execute(empty, "UPDATE flowgauge.tickets SET lease_us = lease_us - 7100000")
    assert store.windows.acquire("api", "b", 1, 60, 1).wait_seconds <= 60
    store.close()
