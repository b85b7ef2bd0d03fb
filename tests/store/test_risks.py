"""What would lose the outbox is told."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from flowgauge.diagnosis.store import ask_store
from flowgauge.errors import FlowgaugeError
from flowgauge.store import RISKS, NewEntry, Store, StoreUnavailableError, open_store
from flowgauge.store.sqlite.risks import file_risks
from stack.postgres import postgres
from stack.process import LOOPBACK, free_port, wait_for
from stack.redis import LASTING, client_at, redis_server

_SECONDS = 20


def _risks(url: str) -> dict[str, bool | None]:
    with closing(open_store(url, timeout_seconds=_SECONDS)) as store:
        return {risk.name: risk.present for risk in store.risks()}


def _present(url: str) -> set[str]:
    return {name for name, present in _risks(url).items() if present}


def test_every_risk_has_a_sentence_and_is_told_once(store: Store) -> None:
    """Each engine tells some of the known risks, with what to do."""
    names = [risk.name for risk in store.risks()]
    assert names
    assert len(names) == len(set(names))
    assert set(names) <= set(RISKS)
    assert all(": " in risk.sentence for risk in store.risks())


@pytest.mark.parametrize(
    ("options", "present"),
    [
        (LASTING, set()),
        (("--save", "3600 1"), {"snapshots"}),
        ((), {"persistence"}),
        ((*LASTING, "--maxmemory", "1gb"), set()),
        ((*LASTING, "--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"), {"eviction"}),
        ((*LASTING, "--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru"), set()),
        ((*LASTING, "--maxmemory-policy", "allkeys-lru"), set()),
        ((*LASTING, "--maxmemory", "1"), {"memory"}),
        ((*LASTING, "--replicaof", f"{LOOPBACK} {free_port()}"), {"replica"}),
    ],
)
def test_a_redis_that_would_lose_the_outbox(
    folder: Path, options: Sequence[str], present: set[str]
) -> None:
    """And one that would not: keys of ours never expire, and without a limit none is evicted."""
    with redis_server(folder, *options) as url:
        assert _present(url) == present


def test_what_a_managed_redis_forbids_is_unknown_and_no_risk(folder: Path) -> None:
    """Without CONFIG, INFO tells the rest; `check` says what could not be asked."""
    with redis_server(folder, "--maxmemory", "1gb") as url, closing(client_at(url)) as client:
        client.acl_setuser(
            "task", enabled=True, passwords=["+right"], keys=["*"], commands=["+@all", "-config"]
        )
        allowed = url.replace("redis://", "redis://task:right@")
        risks = _risks(allowed)
        assert risks["persistence"] is risks["snapshots"] is None
        assert (risks["eviction"], risks["disk"]) == (False, False)
        assert "could not be asked about: persistence, snapshots" in ask_store(allowed)


@pytest.mark.parametrize(("options", "kept"), [(LASTING, 1), (("--save", "3600 1"), 0)])
def test_what_a_redis_loses_that_is_killed_is_what_was_told(
    folder: Path, options: Sequence[str], kept: int
) -> None:
    """A payload is there afterwards, unless snapshots are all that is kept."""
    with redis_server(folder, *options) as url, closing(client_at(url)) as client:
        at_risk = "snapshots" in _present(url)
        with closing(open_store(url, timeout_seconds=_SECONDS)) as store:
            store.outbox.put(NewEntry("a", "etl", "load", "{}"))
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
    with (
        redis_server(folder, *options) as url,
        closing(open_store(url, timeout_seconds=_SECONDS)) as store,
    ):
        assert store.outbox.state().entries == kept == (not at_risk)


def test_a_redis_that_cannot_save_is_told(folder: Path) -> None:
    """As on a full disk: the risk is seen, and whoever writes is told to see to the disk."""
    data = folder / "data"
    with redis_server(data, "--save", "3600 1") as url, closing(client_at(url)) as client:
        shutil.rmtree(data)
        client.bgsave()
        wait_for(lambda: client.info()["rdb_last_bgsave_status"] == "err", "it cannot save")
        assert _present(url) == {"disk", "snapshots"}
        with (
            closing(open_store(url, timeout_seconds=_SECONDS)) as store,
            pytest.raises(StoreUnavailableError, match="cannot save it, see to its disk"),
        ):
            store.outbox.put(NewEntry("a", "etl", "load", "{}"))
        data.mkdir()


def test_check_fails_for_a_store_that_may_lose_payloads(folder: Path) -> None:
    """The sentence says what is wrong and what to do, and keeps the password to itself."""
    options = (*LASTING, "--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru")
    with redis_server(folder, *options) as url:
        with closing(client_at(url)) as client:
            client.config_set("requirepass", "secret")
        with pytest.raises(FlowgaugeError, match="set its maxmemory-policy to noeviction") as told:
            ask_store(url.replace("redis://", "redis://:secret@"))
        assert "secret" not in str(told.value)


def test_a_postgres_that_does_not_wait_for_its_disk(folder: Path) -> None:
    """The server's fsync, and synchronous_commit of the role, are seen; so is a read-only one."""
    with postgres(folder, "fsync=on") as server:
        assert _present(server.url) == set()
        for setting, risk in (
            ("synchronous_commit = off", "fsync"),
            ("default_transaction_read_only = on", "replica"),
        ):
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(b"ALTER ROLE mlflow SET " + setting.encode())
            assert _present(server.url) == {risk}
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("SET default_transaction_read_only = off")
                connection.execute("ALTER ROLE mlflow RESET ALL")
    with postgres(folder) as server:
        assert _present(server.url) == {"fsync"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ext4", False),
        ("nfs4", True),
        ("cifs", True),
        ("fuse.sshfs", True),
        ("9p", True),
        ("tmpfs", False),
    ],
)
def test_a_file_on_a_network_file_system_is_told(folder: Path, kind: str, expected: bool) -> None:
    """The file system that holds the store's folder counts, not others above or below."""
    other = "ext4" if expected else "nfs4"
    place = folder / "with blank"
    (place / "in" / "it").mkdir(parents=True)
    mounts = folder / "mounts"
    shown = str(place).replace(" ", r"\040")
    mounts.write_text(
        f"root / {other} rw 0 0\nserver:/x {shown} {kind} rw 0 0\nx {shown}/in/it {other} rw 0 0\n"
    )
    risks = {risk.name: risk.present for risk in file_risks(place / "in" / "new" / "db", mounts)}
    assert risks["network_file_system"] is expected
    assert file_risks(place / "db", folder / "none")[1].present is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ext4", False),
        ("nfs4", False),
        ("tmpfs", True),
        ("overlay", True),
        ("fuse.fuse-overlayfs", True),
    ],
)
def test_a_file_that_goes_with_its_container_is_told(
    folder: Path, kind: str, expected: bool
) -> None:
    """Or with the machine's memory, wherever its path leads; one that nobody has made is none."""
    (folder / "in").mkdir()
    (folder / "volume").symlink_to(folder / "in")
    mounts = folder / "mounts"
    mounts.write_text(f"root / btrfs rw 0 0\nx {folder}/in {kind} rw 0 0\n")
    file = folder / "volume" / "db"
    for is_made in (False, True):
        risks = {risk.name: risk.present for risk in file_risks(file, mounts)}
        assert risks["volatile"] is (expected and is_made)
        assert risks["network_file_system"] is (kind == "nfs4")
        file.touch()


@pytest.mark.mounts
def test_a_file_in_memory_is_told_by_check(folder: Path) -> None:
    """As it is mounted here, and with the cure."""
    code = (
        "import sys; from flowgauge.store import open_store; from flowgauge.diagnosis.store import"
        " ask_store; open_store(sys.argv[1]).init(); ask_store(sys.argv[1])"
    )
    mounting = 'mount -t tmpfs none "$1" && "$2" -c "$3" "sqlite:///$1/store.db"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounting, "sh", str(folder), sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "own file system, and goes with it: put it on a disk or a volume" in done.stderr


def test_a_file_on_a_disk_that_is_nearly_full_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before SQLite itself fails."""
    url = f"sqlite:///{folder}/store.db"
    assert "disk" not in _present(url)
    full = shutil.disk_usage(folder)._replace(free=50_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert "disk" in _present(url)
