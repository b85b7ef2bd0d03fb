"""A process that is killed before one of its system calls, which another process counts (ptrace).

strace could do so too, but counts by the call's name and by thread, and takes longer to begin.
"""

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Callable

__all__ = ["follow", "let_follow"]

# From Linux' <sys/ptrace.h> and <bits/waitflags.h>.
_TRACE_ME, _RESUME, _SET_OPTIONS, _GET_SYSTEM_CALL = 0, 24, 0x4200, 0x420E
_MARK_SYSTEM_CALLS, _THREADS_TOO, _DIE_WITH_US = 0x1, 0x8, 0x100000
_OF_ALL_KINDS = 0x40000000
_AT_SYSTEM_CALL = signal.SIGTRAP | 0x80
_NOT_FOR_IT = {signal.SIGTRAP, signal.SIGSTOP}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def let_follow() -> None:
    """Stop this process until its parent `follow`s it."""
    _ptrace(_TRACE_ME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)


def follow(child: int, is_there: Callable[[int], bool]) -> int:
    """Kill *child* (SIGKILL) before a system call, of any thread of its, and return its status.

    *is_there* is told the number of each and says before which. The child has no status to be
    killed by if it never says so. This process has no other child meanwhile.
    """
    os.waitpid(child, 0)
    _ptrace(_SET_OPTIONS, child, _MARK_SYSTEM_CALLS | _THREADS_TOO | _DIE_WITH_US)
    _ptrace(_RESUME, child)
    is_killed = False
    within: set[int] = set()
    while True:
        thread, status = os.waitpid(-1, _OF_ALL_KINDS)
        if not os.WIFSTOPPED(status):
            if thread == child:
                return status
            continue
        stopped_by = os.WSTOPSIG(status)
        if stopped_by == _AT_SYSTEM_CALL:
            # It stops at the begin and at the end of each.
            within ^= {thread}
            if thread in within and not is_killed and is_there(_system_call(thread)):
                os.kill(child, signal.SIGKILL)
                is_killed = True
                continue
        is_for_it = stopped_by != _AT_SYSTEM_CALL and stopped_by not in _NOT_FOR_IT
        _ptrace(_RESUME, thread, stopped_by if is_for_it else 0)


def _system_call(thread: int) -> int:
    """Return the number of the system call that *thread* is about to make."""
    # struct ptrace_syscall_info of <linux/ptrace.h>: what comes before the number is 24 bytes.
    told = ctypes.create_string_buffer(88)
    _ptrace(_GET_SYSTEM_CALL, thread, ctypes.addressof(told), len(told))
    (number,) = struct.unpack_from("Q", told, 24)
    return int(number)


def _ptrace(request: int, process: int, data: int = 0, size: int = 0) -> None:
    # A thread that was killed meanwhile (ESRCH) is told of by the next wait.
    if (
        _libc.ptrace(request, process, size or None, data) == -1
        and ctypes.get_errno() != errno.ESRCH
    ):
        raise OSError(ctypes.get_errno(), f"ptrace: {os.strerror(ctypes.get_errno())}")
