"""Work that may hang, done beside the caller."""

# Once the interpreter ends Python loads it no more, and others need it: a first call may come then.
import concurrent.futures.thread  # noqa: F401
import os
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

__all__ = ["Workers", "in_background"]

_T = TypeVar("_T")
# What waits for more work; any number of threads work at the same moment.
_MOST_IDLE = 4


def in_background(work: Callable[[], _T], name: str) -> Future[_T]:
    """Start *work* in a thread called *name*; `result(timeout)` of what is returned waits for it.

    The thread is a daemon, unlike those of `ThreadPoolExecutor`, which Python joins at its end:
    work that hangs for ever holds up neither the caller nor the end of the process. At that end
    Python 3.12 starts no thread any more: then the work is done here and now.
    """
    future = _in_progress()

    def finish() -> None:
        _finish(future, *_outcome(work))

    if not _starts(finish, name):
        finish()
    return future


class Workers:
    """The same in threads called *name* that are used again: for work that comes often.

    Safe for threads, and for forks, each of which has its own.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: dict[int, list[SimpleQueue[Any]]] = {}

    def start(self, work: Callable[[], _T]) -> Future[_T]:
        """Start *work*; `result(timeout)` of what is returned waits for it."""
        future = _in_progress()
        idle = self._idle.setdefault(os.getpid(), [])
        try:
            idle.pop().put((work, future))
        except IndexError:
            jobs: SimpleQueue[Any] = SimpleQueue()
            jobs.put((work, future))
            if not _starts(lambda: _serve(jobs, idle), self._name):
                _finish(future, *_outcome(work))
        return future


def _serve(jobs: SimpleQueue[Any], idle: list[SimpleQueue[Any]]) -> None:
    stays = True
    while stays:
        work, future = jobs.get()
        outcome = _outcome(work)
        stays = len(idle) < _MOST_IDLE
        if stays:
            # First, so that whoever waits finds it there for the next piece.
            idle.append(jobs)
        _finish(future, *outcome)
        del work, future, outcome


def _in_progress() -> Future[Any]:
    future: Future[Any] = Future()
    # Whoever waits may go away. Cancelled, it would take neither a result nor an error.
    future.set_running_or_notify_cancel()
    return future


def _starts(target: Callable[[], None], name: str) -> bool:
    try:
        Thread(target=target, name=name, daemon=True).start()
    except RuntimeError:
        return False
    return True


def _outcome(work: Callable[[], _T]) -> tuple[_T | None, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001 - the waiting side raises it again
        return None, error


def _finish(future: Future[Any], result: Any, error: BaseException | None) -> None:
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
