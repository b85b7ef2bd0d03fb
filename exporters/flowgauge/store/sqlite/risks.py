"""What the file system says that the outbox depends on."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from flowgauge.store.risks import Risk

__all__ = ["file_risks"]

_LITTLE_BYTES = 100_000_000
_MOUNTS = Path("/proc/self/mounts")
# In memory, and the layer of a container that is removed with it.
_VOLATILE = ("tmpfs", "ramfs", "overlay", "aufs", "fuse.fuse-overlayfs")
_NETWORK = ("nfs", "cifs", "smb", "9p", "ceph", "fuse.", "afs", "glusterfs", "lustre", "gpfs")


def file_risks(path: Path, mounts: Path = _MOUNTS) -> Sequence[Risk]:
    """Return the risks of a file, made or not; *mounts* is the system's table of file systems."""
    place = Path(os.path.realpath(path))
    folder = next(each for each in place.parents if each.exists())
    kind = _file_system(place, mounts)
    is_volatile = _is_one_of(kind, _VOLATILE)
    return [
        Risk("disk", shutil.disk_usage(folder).free < _LITTLE_BYTES),
        Risk("network_file_system", _is_one_of(kind, _NETWORK) and not is_volatile),
        # A file that nobody has made holds nothing: where no task logs, say.
        Risk("volatile", is_volatile and _is_there(place)),
    ]


def _is_there(place: Path) -> bool:
    try:
        place.stat()
    except OSError:
        return False
    return True


def _file_system(path: Path, mounts: Path) -> str | None:
    """Return what kind of file system *path* is in."""
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return None  # Not Linux.
    # Of two file systems at one place, the later one is seen; a blank is written \040.
    kinds = {Path(place.replace(r"\040", " ")): kind for _, place, kind, *_ in lines}
    return next((kinds[each] for each in (path, *path.parents) if each in kinds), None)


def _is_one_of(kind: str | None, kinds: tuple[str, ...]) -> bool | None:
    return None if kind is None else kind.startswith(kinds)
