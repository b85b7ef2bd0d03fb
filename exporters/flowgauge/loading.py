"""Modules that are loaded when they are first needed, where another thread may fork.

Python has a lock for each module that is being loaded. A child that is forked meanwhile has the
lock and not the thread that would open it, and waits for ever once it needs the module. So it is
with what libraries make ready at their first use, behind locks of their own.
"""

# What is loaded makes loggers. Of two hooks before a fork the one registered later runs first: ours
# must, or the fork would have the lock for loggers, and wait for a thread that waits for that.
import logging  # noqa: F401
import os
import threading
from contextlib import AbstractContextManager

__all__ = ["loading"]

# A thread that forks while it loads a module itself may have the one we wait for.
_LONGEST_SECONDS = 10.0
_lock = threading.RLock()
_forking = threading.local()


def loading() -> AbstractContextManager[object]:
    """Keep forks of other threads waiting while modules are loaded, or made ready for use."""
    # Itself: in what is written in Python around it, a signal's exception may hit between two
    # steps, and leave it locked for good.
    return _lock


def _before() -> None:
    _forking.has_lock = _lock.acquire(timeout=_LONGEST_SECONDS)


def _after() -> None:
    if _forking.has_lock:
        _lock.release()


os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
