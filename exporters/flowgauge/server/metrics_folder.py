"""Where the workers' metrics meet: a folder of our own inside the one that the user names.

A file in it is ours by four signs, which together nobody else's has: the folder's name and owner,
the file's name and owner. Only such files are ever read or removed. The folder around it may hold
nothing but these folders, so that a data folder, named by mistake, is refused.

Nobody who may write the folder around it can put something into ours. That is why `/tmp` and a
volume of Kubernetes (an `emptyDir` is root's, and everybody may write it) can be used as they are.

A server holds a lock on its folder, command and workers alike, as long as one of them lives; the
kernel ends it with the last one, however they die. The lock is on the folder, not on a file in it:
it cannot be removed, and systemd-tmpfiles leaves a locked folder alone.
"""

import fcntl
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flowgauge.errors import UsageError
from flowgauge.redact import quote

__all__ = [
    "ADDITIVE",
    "DAG_COUNTS_FILE",
    "DAG_PLACES",
    "FOLDED_FILE",
    "FOLDER_VARIABLE",
    "GAUGE_MODES",
    "INVENTORY",
    "INVENTORY_DRAFT",
    "INVENTORY_LOCK",
    "LOCK",
    "WORKER_FILE",
    "claim",
    "dag_counts_file",
    "entries",
    "join",
    "keep",
]

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

ADDITIVE = ("counter", "histogram", "summary")
"""The kinds of metrics whose values add up, as prometheus_client's file names spell them."""

GAUGE_MODES = tuple(
    live + mode for live in ("", "live") for mode in ("all", "min", "max", "sum", "mostrecent")
)

LOCK = "lock"
"""The file that whoever folds files together locks."""

_ADDITIVE = "|".join(ADDITIVE)
_GAUGES = "|".join(f"gauge_{mode}" for mode in GAUGE_MODES)

WORKER_FILE = re.compile(rf"(?P<kind>{_ADDITIVE}|{_GAUGES})_(?P<pid>\d+)\.db", re.ASCII)
"""What prometheus_client calls the file of a process."""

FOLDED_FILE = re.compile(
    rf"(?P<kind>{_ADDITIVE})_(?P<state>dead|retired)_(?P<number>\d+)\.db", re.ASCII
)
"""What `worker_files` calls the files of dead ones."""

DAG_PLACES = "dags.places"
"""The file that says which pair of DAG and task has which place."""

DAG_COUNTS_FILE = re.compile(r"dags_\d+\.counts", re.ASCII)
"""What `dag_counts_file` returns."""

INVENTORY, INVENTORY_DRAFT, INVENTORY_LOCK = (
    f"inventory.{kind}" for kind in ("json", "draft", "lock")
)
"""The file that says what is in MLflow's database, while it is written, and who counts."""

# `mlflow server` locks it as long as it runs.
_OF_COMMAND = "command"
_OTHERS_OF_OURS = re.compile(
    rf"{LOCK}|{_OF_COMMAND}|inventory\.(?:json|draft|lock)|{re.escape(DAG_PLACES)}|{DAG_COUNTS_FILE.pattern}|(?:{_ADDITIVE})_dead\.(?:db|draft)|{FOLDED_FILE.pattern}\.malformed",
    re.ASCII,
)
_FOLDER = re.compile(r"flowgauge-\d+", re.ASCII)
# Of this process, as long as it lives.
_held: dict[Path, int] = {}
_CURE = f"set {FOLDER_VARIABLE} to an empty folder of this user's, or leave it out"


def claim(named: Path) -> Path:
    """Return an empty folder inside *named*, which is this process's and its workers' alone.

    *named* is made if it is missing. Files of an earlier server are removed, also those that
    flowgauge 0.1 left in *named* itself.

    Raises `UsageError` for a folder that is not safe, holds something else or is another server's,
    and `OSError` where it cannot be written; nothing is removed then.
    """
    with _opened(named) as around:
        _check_around(around, named)
        left_by_0_1 = _check_entries(around, named)
        # Another program's prometheus_client names its files alike, but makes no lock.
        if left_by_0_1 and LOCK not in left_by_0_1:
            raise _holds(named, left_by_0_1[0])
        if left_by_0_1:
            _lock(around, fcntl.LOCK_EX, named)
        folder = named.absolute() / _folder_name()
        with _own(folder) as own:
            _lock(own, fcntl.LOCK_EX, folder)
            _remove(_check_entries(own, folder), own)
            _remove(left_by_0_1, around)
            _make_private(around, named)
            _lock_as_commands(own, folder)
            _hold(own, folder)
    return folder


def join(named: Path) -> Path:
    """Return, in a worker, the folder that its command claimed, made again if a cleaner took it.

    A server that no command of ours started has claimed none; its workers share the one in
    *named*, which may hold nothing else, as they find it.

    Raises `UsageError` for a folder that is not safe, is being claimed or belongs to a running
    command of another server, and `OSError` where it cannot be written.
    """
    folder = named.absolute()
    is_claimed = folder.name == _folder_name()
    if not is_claimed:
        with _opened(named) as around:
            _check_around(around, named)
            _check_entries(around, named)
        folder /= _folder_name()
    with _own(folder) as own:
        _hold(own, folder)
        if not is_claimed:
            _check_that_no_command_has(own, folder)
    return folder


def keep(folder: Path) -> None:
    """Join *folder* again, which `join` or `claim` returned, if it is not the one that was joined.

    Raises what `join` raises.
    """
    held = _held.get(folder)
    try:
        if held is not None and os.path.samestat(os.fstat(held), folder.lstat()):
            return
    except OSError:
        pass
    join(folder)


def dag_counts_file(number: int) -> str:
    """Return the name of a file of counts by place."""
    return f"dags_{number}.counts"


def entries(folder: Path | int) -> Iterator[os.DirEntry[str]]:
    """Yield what is ours in *folder*: regular files of this user's with exactly our names."""
    with os.scandir(folder) as found:
        yield from (entry for entry in found if _is_ours(entry))


def _is_ours(entry: os.DirEntry[str]) -> bool:
    return (
        any(name.fullmatch(entry.name) for name in (WORKER_FILE, FOLDED_FILE, _OTHERS_OF_OURS))
        and entry.is_file(follow_symlinks=False)
        and entry.stat(follow_symlinks=False).st_uid == os.geteuid()
    )


def _folder_name() -> str:
    # One for each user: in /tmp several may have theirs.
    return f"flowgauge-{os.geteuid()}"


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Give a descriptor of *folder*: what is checked through it cannot be exchanged meanwhile."""
    if folder.is_symlink():
        raise _refusal(folder, "it is a symbolic link")
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _own(folder: Path) -> Iterator[int]:
    with _opened(folder) as descriptor:
        owner = os.fstat(descriptor).st_uid
        if owner != os.geteuid():
            raise _refusal(folder, f"it belongs to another user (uid {owner})")
        # Kubernetes gives a volume's folders to the group fsGroup, ours too.
        os.fchmod(descriptor, stat.S_IRWXU)
        yield descriptor


def _check_around(descriptor: int, folder: Path) -> None:
    """Refuse a folder in which other users could take ours away and put theirs in its place."""
    status = os.fstat(descriptor)
    if status.st_uid not in (0, os.geteuid()):
        raise _refusal(folder, f"it belongs to another user (uid {status.st_uid})")
    others = stat.S_IWOTH if status.st_uid == os.geteuid() else stat.S_IWOTH | stat.S_IWGRP
    if status.st_mode & others and not _is_meant_for_all(status, folder):
        mode = stat.S_IMODE(status.st_mode)
        raise _refusal(folder, f"other users may write it (mode {mode:o}): chmod go-w, or")


def _is_meant_for_all(status: os.stat_result, folder: Path) -> bool:
    # In a folder like /tmp nobody else can rename ours. A volume was given to this container:
    # whoever else may write it, the pod's author has let in.
    return bool(status.st_mode & stat.S_ISVTX) or os.path.ismount(folder)


def _make_private(descriptor: int, folder: Path) -> None:
    """Take the group's right to write from a folder of this user's.

    A umask of 002 gives it, and so does Kubernetes, again and again, in a volume with an fsGroup.
    """
    status = os.fstat(descriptor)
    if status.st_uid == os.geteuid() and not _is_meant_for_all(status, folder):
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~stat.S_IWGRP)


def _check_entries(descriptor: int, folder: Path) -> list[str]:
    """Return the names of our files in *folder*, where nothing else may be but folders of ours."""
    ours = sorted(entry.name for entry in entries(descriptor))
    with os.scandir(descriptor) as found:
        for entry in found:
            is_folder = _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            if entry.name not in ours and not is_folder:
                raise _holds(folder, entry.name)
    return ours


def _lock(descriptor: int, kind: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _refusal(
            folder, "another MLflow server, or a worker that one left behind, is using it"
        ) from None
    except OSError as error:
        reason = f"its file system locks no folders ({error.strerror}), as that of a network"
        raise _refusal(folder, reason) from None


def _hold(descriptor: int, folder: Path) -> None:
    """Share the lock on *folder* until this process ends."""
    _lock(descriptor, fcntl.LOCK_SH, folder)
    before = _held.pop(folder, None)
    _held[folder] = os.dup(descriptor)
    if before is not None:
        os.close(before)


def _lock_as_commands(own: int, folder: Path) -> None:
    """Say, until this process ends, that a command claimed *folder*."""
    file = os.open(_OF_COMMAND, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=own)
    _lock(file, fcntl.LOCK_EX, folder)  # never closed


def _check_that_no_command_has(own: int, folder: Path) -> None:
    with suppress(FileNotFoundError):
        file = os.open(_OF_COMMAND, os.O_RDWR | os.O_NOFOLLOW, dir_fd=own)
        try:
            _lock(file, fcntl.LOCK_SH, folder)
        finally:
            os.close(file)


def _remove(names: Iterable[str], descriptor: int) -> None:
    # The lock last: without it, what is left would not be known as ours.
    for name in sorted(names, key=LOCK.__eq__):
        os.unlink(name, dir_fd=descriptor)


def _holds(folder: Path, stranger: str) -> UsageError:
    return _refusal(folder, f"it holds {quote(stranger)!r}, which flowgauge did not make")


def _refusal(folder: Path, reason: str) -> UsageError:
    shown = quote(str(folder))
    return UsageError(f"the workers' metrics cannot be kept in {shown!r}: {reason}: {_CURE}")
