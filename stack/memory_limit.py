"""A limit of memory around processes, as a container or a unit of systemd has, by a control group.

https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stack.process import wait_for

__all__ = ["may_limit_memory", "memory_limit"]

_ROOT = Path("/sys/fs/cgroup")
_V1_LIMIT, _V2_LIMIT = "memory.limit_in_bytes", "memory.max"


def may_limit_memory() -> bool:
    """Return whether this user may make such a group: root mostly may, and few others."""
    return os.access(_parent(), os.W_OK) and (_is_v1() or "memory" in _handed_down())


@contextmanager
def memory_limit(number_of_bytes: int) -> Iterator[Callable[[int], object]]:
    """Yield what puts a process, by its pid, under a limit, and with it what it will start.

    What it took before does not count. At the block's end all of them must have ended, or do soon.
    """
    group = _parent() / f"flowgauge-{os.getpid()}"
    group.mkdir()
    try:
        (group / (_V1_LIMIT if _is_v1() else _V2_LIMIT)).write_text(str(number_of_bytes))
        yield lambda pid: (group / "cgroup.procs").write_text(str(pid))
    finally:
        wait_for(lambda: _removed(group), "the processes of a limited group have ended")


def _is_v1() -> bool:
    return (_ROOT / "memory" / _V1_LIMIT).exists()


def _parent() -> Path:
    """Return this process's own group, or the root where no group with processes may have one."""
    own = re.search(
        r"^\d+:[^:]*\bmemory\b[^:]*:/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE
    )
    if not _is_v1():
        return _ROOT
    top = _ROOT / "memory"
    return top / own[1] if own and (top / own[1]).exists() else top


def _handed_down() -> str:
    try:
        return (_ROOT / "cgroup.subtree_control").read_text()
    except OSError:
        return ""


def _removed(group: Path) -> bool:
    with suppress(OSError):
        group.rmdir()
    return not group.exists()
