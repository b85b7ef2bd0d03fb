"""Files and folders that are the tasks' own, or their group's.

A folder says itself that what is in it is for its group: it is writable by the group and has the
setgid bit, as after `chmod 2770`. Everything else is for one user alone.
"""

import os
import stat
import tempfile
from contextlib import suppress
from errno import ENOTDIR
from pathlib import Path

__all__ = ["is_the_groups", "make_folder", "temporary_file"]

_SHARED = stat.S_ISGID | stat.S_IWGRP


def is_the_groups(folder: Path) -> bool:
    """Return whether what is in *folder* is for its group."""
    return folder.stat().st_mode & _SHARED == _SHARED


def make_folder(folder: Path) -> None:
    """Make *folder* and those above it that are missing, each as private as the one above it.

    What root makes belongs to the owner of the folder above. Raises `OSError`.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(0o700)
        _give_to_owner_of(folder.parent, folder)
        if is_the_groups(folder.parent):
            folder.chmod(0o2770)
    if not folder.is_dir():
        raise NotADirectoryError(ENOTDIR, "not a folder", str(folder))


def temporary_file(folder: Path) -> Path:
    """Make an empty file in *folder*, with the permissions that the folder asks for.

    What root makes belongs to the owner of the folder. Raises `OSError`.
    """
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".flowgauge-")
    os.close(descriptor)
    file = Path(name)
    _give_to_owner_of(folder, file)
    if is_the_groups(folder):
        file.chmod(0o660)
    return file


def _give_to_owner_of(folder: Path, made: Path) -> None:
    if os.geteuid() == 0:
        # Root in a container may not be allowed to.
        with suppress(PermissionError):
            os.chown(made, folder.stat().st_uid, folder.stat().st_gid)
