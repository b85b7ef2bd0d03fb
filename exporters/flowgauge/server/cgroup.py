"""How much memory the container, or the systemd unit, may take, and takes.

https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Memory", "memory"]

# Version 1 says a number nobody has where there is no limit.
_UNLIMITED = 2**60


@dataclass(frozen=True)
class Memory:
    """In bytes; what the kernel can give up at once, file pages not used lately, is not `used`."""

    used: float
    limit: float


@dataclass(frozen=True)
class _Files:
    limit: str
    used: str
    idle: str


_V2 = _Files("memory.max", "memory.current", "inactive_file")
_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def memory(
    own: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> Memory | None:
    """Return what the narrowest limit around this process allows; None if there is none."""
    narrowest: Memory | None = None
    try:
        for folder, files in _folders(own.read_text(), root):
            found = _read(folder, files)
            if found and (narrowest is None or found.limit < narrowest.limit):
                narrowest = found
    except (OSError, ValueError):  # no Linux, or one that hides it
        return None
    return narrowest


def _folders(own: str, root: Path) -> Iterator[tuple[Path, _Files]]:
    """Yield the groups around the process, the nearest first.

    A container may see itself as the root, and yet be told its path on the host.
    """
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top, files = root, _V2
        elif "memory" in controllers.split(","):
            top, files = root / "memory", _V1
        else:
            continue
        group = top / path.strip("/")
        for folder in (group, *group.parents):
            if (folder / files.limit).is_file():
                yield folder, files
            if folder == top:
                break


def _read(folder: Path, files: _Files) -> Memory | None:
    limit = (folder / files.limit).read_text().strip()
    if limit == "max" or int(limit) >= _UNLIMITED:
        return None
    used = int((folder / files.used).read_text())
    idle = re.search(rf"^{files.idle} (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
    return Memory(max(used - int(idle[1]) if idle else used, 0), int(limit))
