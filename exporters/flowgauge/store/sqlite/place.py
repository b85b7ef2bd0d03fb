"""Where a SQLite file is, whose it is, and what lies beside it.

SQLite keeps what is written in a log, `…-wal`, and its index in shared memory, `…-shm`, beside the
file. Whoever connects first makes them, with the file's mode and as a file of its own.
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from pwd import getpwuid

from flowgauge.store.errors import StoreUnavailableError
from flowgauge.store.private import make_folder, temporary_file

__all__ = ["Place"]

_RETRY_SECONDS = 0.002
_GROUP, _ALL = 0o060, 0o006
_LOG, _INDEX = "-wal", "-shm"


class Place:
    """The place of a file at *path*; methods raise `OSError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path.with_name(path.name + _LOG)
        self._index = path.with_name(path.name + _INDEX)

    def identity(self) -> tuple[int, int]:
        """Return what tells the file that is here now from one that was moved away."""
        here = self.path.stat()
        return here.st_dev, here.st_ino

    def is_here(self, identity: tuple[int, int]) -> bool:
        """Return whether it is this one."""
        try:
            return self.identity() == identity
        except FileNotFoundError:
            return False

    def owner(self) -> str:
        """Return the name of the user whose file it is."""
        uid = self.path.stat().st_uid
        try:
            return getpwuid(uid).pw_name
        except KeyError:
            return f"user {uid}"

    def is_anothers(self) -> bool:
        """Return whether log and index that this process made would lock out the file's users.

        They do not if it is their owner, or root, for whom SQLite gives them to the owner, or if
        the file is its group's and new files are too, by the setgid bit of the folder.
        """
        file, folder = self.path.stat(), self.path.parent.stat()
        me = os.geteuid()
        group = folder.st_gid if folder.st_mode & stat.S_ISGID else os.getegid()
        makes_theirs = (
            me in (0, file.st_uid)
            or (file.st_mode & _GROUP == _GROUP and group == file.st_gid)
            or file.st_mode & _ALL == _ALL
        )
        return not makes_theirs or not all(
            os.access(each, os.R_OK | os.W_OK, effective_ids=True)
            for each in (self.path, self.path.parent)
        )

    def bar_to_making(self) -> Path | None:
        """Return the folder in which this user cannot make what is missing; None if it can."""
        folder = next(each for each in self.path.absolute().parents if each.exists())
        can = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
        return None if can else folder

    def is_readable(self) -> bool:
        """Return whether this user may read the file and what is beside it."""
        return all(
            os.access(each, os.R_OK, effective_ids=True) for each in (self.path, *self.beside())
        )

    def has_log(self) -> bool:
        """Return whether something is in the log."""
        try:
            return self.log.stat().st_size > 0
        except FileNotFoundError:
            return False

    def log_state(self) -> tuple[int, int] | None:
        """Return what changes whenever anybody commits."""
        try:
            log = self.log.stat()
        except OSError:
            return None
        return log.st_size, log.st_mtime_ns

    def remove_own_log(self) -> bool:
        """Remove a log of another's file that this process made by accident; return whether."""
        with suppress(FileNotFoundError):
            log = self.log.stat()
            if log.st_size == 0 and log.st_uid == os.geteuid() != self.path.stat().st_uid:
                self.log.unlink()
                return True
        return False

    def beside(self) -> Mapping[Path, int]:
        """Return the log and the index that are there, and which they are."""
        found = {}
        for each in (self.log, self._index):
            with suppress(FileNotFoundError):
                found[each] = each.stat().st_ino
        return found

    @contextmanager
    def alone(self, deadline: float) -> Iterator[None]:
        """Let no other process make or move the file; waits until *deadline*, on time.monotonic."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            while True:
                try:
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise StoreUnavailableError(
                            f"the store {self.path} is being made by another process"
                        ) from None
                    time.sleep(_RETRY_SECONDS)
            try:
                yield
            finally:
                # Closing is not enough: a child forked meanwhile has it open too.
                fcntl.flock(folder, fcntl.LOCK_UN)
        finally:
            os.close(folder)

    def make(self, deadline: float) -> None:
        """Make an empty file, unless one is there."""
        make_folder(self.path.parent)
        with self.alone(deadline):
            if not self.path.exists():
                with suppress(FileExistsError):
                    self.put(temporary_file(self.path.parent))

    def put(self, file: Path) -> None:
        """Move *file* to this place, where none is; within `alone`."""
        try:
            self.set_aside(self.beside())
            # Unlike a renaming, it replaces nothing.
            os.link(file, self.path)
        finally:
            file.unlink()

    def move(self, to: Path) -> None:
        """Move the file and what is beside it, which whoever has it open goes on using."""
        # The log first: beside another file it would destroy that.
        for each in (*self.beside(), self.path):
            each.rename(to.with_name(to.name + each.name.removeprefix(self.path.name)))

    def set_aside(self, beside: Mapping[Path, int]) -> None:
        """Part from what belongs to a file that is gone, as far as it is still here.

        Taken for its own, it would destroy the next file. What is in a log may be missing in the
        file that was moved, so it is kept.
        """
        for each, inode in beside.items():
            with suppress(FileNotFoundError):
                found = each.stat()
                if found.st_ino != inode:
                    continue
                if each == self.log and found.st_size:
                    each.rename(f"{each}.{time.time_ns()}")
                else:
                    each.unlink()
