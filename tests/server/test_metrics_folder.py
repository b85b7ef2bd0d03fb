import errno
import fcntl
import multiprocessing
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowgauge.errors import UsageError
from flowgauge.server.metrics_folder import claim, join, keep
from tests.server.refusals import RefusedServer

ME = os.geteuid()
OURS = f"flowgauge-{ME}"
STRANGER = 65534  # nobody, of Debian
# Only root can act for others.
USERS = [ME, STRANGER] if ME == 0 else [ME]


@contextmanager
def a_process(user: int = ME) -> Iterator[ProcessPoolExecutor]:
    """Give a process of *user*'s, which holds what it claims until the block ends."""
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, fork, initializer=_become, initargs=(user,)) as process:
        yield process


def _become(user: int) -> None:
    if user != os.geteuid():
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)


def _claim(folder: Path, user: int = ME) -> Path:
    """Claim *folder* in a process that ends at once."""
    with a_process(user) as process:
        return process.submit(claim, folder).result()


def _join(folder: Path) -> Path:
    """Join *folder* in a process that ends at once."""
    with a_process() as process:
        return process.submit(join, folder).result()


def _give_away(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if ME == 0:
        os.chown(file, STRANGER, -1, follow_symlinks=False)
    else:  # no real part: only root can give a file away
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)


def _everything(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return what would tell that something in *folder*, or itself, was touched."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (status.st_ino, status.st_mode, status.st_mtime_ns, content)
    return found


def _data(folder: Path) -> None:
    for name in ("mlflow.db", "basic_auth.db", "flowgauge.db"):
        (folder / name).write_bytes(b"years of runs")


def _another_programs_metrics(folder: Path) -> None:
    (folder / "counter_123.db").write_bytes(b"not ours")


def _a_link_called_lock(folder: Path) -> None:
    (folder / "lock").symlink_to(folder.parent / "target")


def _a_link_called_like_a_file(folder: Path) -> None:
    (folder / "lock").touch()
    (folder / "counter_123.db").symlink_to(folder.parent / "target")


def _a_link_called_like_a_folder(folder: Path) -> None:
    (folder / OURS).symlink_to(folder.parent)


def _something_in_our_folder(folder: Path) -> None:
    (folder / OURS).mkdir(0o700)
    (folder / OURS / "mlflow.db").write_bytes(b"years of runs")


def _a_folder_for_all(folder: Path) -> None:
    folder.chmod(0o777)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (_data, ".db', which flowgauge did not make"),
        (_another_programs_metrics, "it holds 'counter_123.db', which flowgauge did not make"),
        (_a_link_called_lock, "it holds 'lock', which flowgauge did not make"),
        (_a_link_called_like_a_file, "it holds 'counter_123.db', which flowgauge did not make"),
        (_a_link_called_like_a_folder, f"it holds '{OURS}', which flowgauge did not make"),
        (_something_in_our_folder, f"{OURS}': it holds 'mlflow.db', which flowgauge did not make"),
        (_a_folder_for_all, "other users may write it (mode 777): chmod go-w, or: set"),
    ],
)
def test_a_folder_that_is_not_ours_is_refused_and_left_as_it_is(
    folder: Path, prepare: Callable[[Path], None], reason: str
) -> None:
    """One sentence names the folder, the reason and the cure; nothing is written or removed."""
    named = folder / "named"
    named.mkdir(0o755)
    (folder / "target").write_bytes(b"precious")
    prepare(named)
    before = _everything(folder)
    with pytest.raises(UsageError) as refused:
        _claim(named)
    assert str(named) in str(refused.value)
    assert reason in str(refused.value)
    assert "set PROMETHEUS_MULTIPROC_DIR to an empty folder" in str(refused.value)
    assert _everything(folder) == before


@pytest.mark.parametrize("code", [errno.EBADF, errno.ENOLCK])
def test_a_file_system_that_locks_nothing_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """NFS is, as Linux answers for it; the file system of a test locks."""

    def flock(_descriptor: int, _kind: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    for take in (claim, join):
        with pytest.raises(UsageError, match=r"file system locks no folders .*: set PROMETHEUS_M"):
            take(folder)


def test_uvicorn_alone_refuses_a_folder_that_is_not_its_own(folder: Path) -> None:
    """What `mlflow server` refuses is refused where no command ran before the workers."""
    _data(folder)
    before = _everything(folder)
    with a_process() as worker, pytest.raises(UsageError, match="which flowgauge did not make"):
        worker.submit(join, folder).result()
    assert _everything(folder) == before


def test_a_link_to_a_folder_is_refused(folder: Path) -> None:
    """The folder itself must be named: where a link leads may change."""
    (folder / "real").mkdir()
    (folder / "link").symlink_to("real")
    with pytest.raises(UsageError, match="link': it is a symbolic link"):
        _claim(folder / "link")
    assert list((folder / "real").iterdir()) == []


def test_another_users_folder_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could exchange everything in it."""
    _give_away(folder, monkeypatch)
    for enter in (claim, join):
        with pytest.raises(UsageError, match=r"it belongs to another user \(uid \d+\)"):
            enter(folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_somebody_made_in_our_name_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder for all, others may make one called like ours; it is theirs."""
    (folder / OURS).mkdir()
    _give_away(folder / OURS, monkeypatch)
    for enter in (claim, join):
        with pytest.raises(UsageError, match=r"it belongs to another user \(uid \d+\)"):
            enter(folder)


def test_another_users_files_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of ours is not enough to be removed."""
    (folder / "lock").touch()
    (folder / "counter_1.db").touch()
    _give_away(folder / "counter_1.db", monkeypatch)
    with pytest.raises(UsageError):
        claim(folder)
    assert (folder / "counter_1.db").exists()


@pytest.fixture
def for_all() -> Iterator[Path]:
    """A folder that other users can reach, and may write."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("mode", "volume"), [(0o1777, False), (0o777, True), (0o2777, True)])
def test_tmp_and_a_volume_for_all_are_used_safely(
    for_all: Path, user: int, mode: int, volume: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In folders made for everybody, as Kubernetes makes them, ours is private; restarts work."""
    for_all.chmod(mode)
    # No real part: only a privileged process can mount a volume.
    monkeypatch.setattr(os.path, "ismount", lambda path: volume and Path(path) == for_all)
    for _ in range(2):
        ours = _claim(for_all, user)
        assert ours == for_all / f"flowgauge-{user}"
        status = ours.stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (user, 0o700)
        (ours / "counter_12.db").touch()
        os.chown(ours / "counter_12.db", user, -1)
        # As Kubernetes does at every mount of a volume with an fsGroup.
        ours.chmod(0o2770)
    assert stat.S_IMODE(for_all.stat().st_mode) == mode


def test_a_folder_of_ours_that_its_group_may_write_becomes_private(folder: Path) -> None:
    """A umask of 002 and Kubernetes' fsGroup make such folders; nobody need do anything."""
    (folder / "metrics").mkdir()
    (folder / "metrics").chmod(0o775)
    _claim(folder / "metrics")
    assert stat.S_IMODE((folder / "metrics").stat().st_mode) == 0o755


def test_a_start_removes_what_an_earlier_server_left(folder: Path) -> None:
    """Also what one left that was killed while it folded, and set aside."""
    named = folder / "not" / "yet"
    ours = _claim(named)
    for name in (
        *("counter_12.db", "gauge_livesum_12.db", "gauge_liveall_12.db", "summary_12.db"),
        *("counter_dead_3.db", "histogram_retired_4.db", "histogram_dead.draft", "lock"),
        *("counter_retired_2.db.malformed", "dags.places", "dags_0.counts"),
    ):
        (ours / name).touch()
    assert _claim(named) == ours
    assert [file.name for file in ours.iterdir()] == ["command"]


def test_a_folder_of_version_0_1_is_adopted(folder: Path) -> None:
    """Its files lay in the named folder itself, with a lock; they go at the first start."""
    for name in (
        *("counter_12.db", "histogram_12.db", "gauge_liveall_12.db", "lock"),
        *("counter_dead.db", "histogram_dead.draft"),
    ):
        (folder / name).write_bytes(b"of 0.1")
    assert _claim(folder) == folder / OURS
    assert list(folder.iterdir()) == [folder / OURS]


def _kill(process: ProcessPoolExecutor) -> None:
    os.kill(process.submit(os.getpid).result(), signal.SIGKILL)
    process.shutdown()


def test_a_second_server_is_refused_until_the_firsts_last_process_is_dead(folder: Path) -> None:
    """Command and workers share the lock; it ends with them, by SIGKILL too, and at once."""
    with a_process() as command, a_process() as worker:
        ours = command.submit(claim, folder).result()
        assert worker.submit(join, ours).result() == ours
        (ours / "counter_12.db").touch()
        (ours / "lock").touch()
        before = _everything(folder)
        # A child of the server's has the name of its own folder in its environment.
        for named in (folder, ours):
            with pytest.raises(UsageError, match="is using it"):
                _claim(named)
        _kill(command)
        with pytest.raises(UsageError, match="is using it"):
            _claim(folder)
        assert _everything(folder) == before
        _kill(worker)
        assert _claim(folder) == ours
    assert [file.name for file in ours.iterdir()] == ["command"]


def test_a_server_without_a_command_is_no_worker_of_one_that_has(folder: Path) -> None:
    """Started by uvicorn alone, it is refused the folder of a server that runs, and no other."""
    with a_process() as command, a_process() as worker:
        ours = command.submit(claim, folder).result()
        before = _everything(folder)
        with pytest.raises(UsageError, match="is using it"):
            _join(folder)
        assert worker.submit(join, ours).result() == ours
        assert _everything(folder) == before
    assert _join(folder) == ours


def test_a_worker_makes_the_folder_again_that_a_cleaner_took(folder: Path) -> None:
    """It starts and counts: what is lost are the numbers of the workers before."""
    ours = _claim(folder / "metrics")
    shutil.rmtree(folder / "metrics")
    with a_process() as worker:
        assert worker.submit(join, ours).result() == ours
    assert stat.S_IMODE(ours.stat().st_mode) == 0o700


def test_a_worker_that_runs_makes_it_again_too(folder: Path) -> None:
    """The folder is its server's as before: nobody else may claim it."""
    with a_process() as worker:
        ours = worker.submit(join, folder / "metrics").result()
        for _ in range(2):
            shutil.rmtree(folder / "metrics")
            worker.submit(keep, ours).result()
            inode = ours.stat().st_ino
            worker.submit(keep, ours).result()
            assert ours.stat().st_ino == inode
            assert stat.S_IMODE(ours.stat().st_mode) == 0o700
            with pytest.raises(UsageError, match="is using it"):
                _claim(folder / "metrics")


def test_workers_of_uvicorn_alone_share_a_folder(folder: Path) -> None:
    """Nobody claimed one for them: the first makes it, and a replaced one loses nothing."""
    with a_process() as first, a_process() as second:
        ours = first.submit(join, folder).result()
        (ours / "counter_12.db").touch()
        assert second.submit(join, folder).result() == ours == folder / OURS
    assert list(ours.iterdir()) == [ours / "counter_12.db"]


@pytest.mark.whole_system(seconds=5)
def test_a_server_with_its_metrics_in_its_data_folder_does_not_start(
    refused: RefusedServer, folder: Path
) -> None:
    """`mlflow server` ends with one sentence and exit code 2, and no database is lost."""
    data = folder / "data"
    data.mkdir()
    _data(data)
    before = _everything(data)
    code, said = refused(folder, PROMETHEUS_MULTIPROC_DIR="data")
    assert code == 2
    assert said.count("Error: ") == 1
    assert "the workers' metrics cannot be kept in 'data': it holds" in said
    assert _everything(data) == before
