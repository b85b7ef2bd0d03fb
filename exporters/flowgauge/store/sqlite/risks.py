"""What the file system says that the outbox depends on."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from flowgauge.store.risks import Risk

__all__ = ["file_risks"]

_LITTLE_BYTES = 100_000_000
_MOUNTS = Path("/proc/self/mounts")
_NETWORK = ("nfs", "cifs", "smb", "9p", "ceph", "fuse.", "afs", "glusterfs", "lustre", "gpfs")


def file_risks(path: Path, mounts: Path = _MOUNTS) -> Sequence[Risk]:
    """Return the risks of a file, made or not; *mounts* is the system's table of file systems."""
    folder = next(each for each in path.absolute().parents if each.exists())
    return [
        Risk("disk", shutil.disk_usage(folder).free < _LITTLE_BYTES),
        Risk("network_file_system", _is_remote(folder.resolve(), mounts)),
    ]


def _is_remote(folder: Path, mounts: Path) -> bool | None:
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return None  # Not Linux.
    # Of two file systems at one place, the later one is seen; a blank is written \040.
    kinds = {Path(place.replace(r"\040", " ")): kind for _, place, kind, *_ in lines}
    found = next((kinds[each] for each in (folder, *folder.parents) if each in kinds), None)
    return None if found is None else found.startswith(_NETWORK)
