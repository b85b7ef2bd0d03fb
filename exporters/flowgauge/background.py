"""Work that may hang, done beside the caller."""

# Once the interpreter ends Python loads it no more, and others need it: a first call may come then.
import concurrent.futures.thread  # noqa: F401
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
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
    future = _InProgress[_T]()

    def finish() -> None:
        future.finish(*_outcome(work))

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
        future = _InProgress[_T]()
        idle = self._idle.setdefault(os.getpid(), [])
        try:
            idle.pop().put((work, future))
        except IndexError:
            jobs: SimpleQueue[Any] = SimpleQueue()
            jobs.put((work, future))
            if not _starts(lambda: _serve(jobs, idle), self._name):
                future.finish(*_outcome(work))
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
        future.finish(*outcome)
        del work, future, outcome


class _InProgress(Future[_T]):
    """A `Future` whose wait a signal's exception may end at any place.

    Future's own is written in Python. Hit between two of its steps, it leaves a lock that the
    thread at work needs, or hides what hit it behind an error about that lock.
    """

    def __init__(self) -> None:
        super().__init__()
        # Whoever waits may go away. Cancelled, it would take neither a result nor an error.
        self.set_running_or_notify_cancel()
        self._ended: tuple[Any, BaseException | None] | None = None
        self._working = Lock()
        self._working.acquire()

    def finish(self, result: Any, error: BaseException | None) -> None:
        self._ended = result, error
        self._working.release()
        if error is None:
            self.set_result(result)
        else:
            self.set_exception(error)

    def done(self) -> bool:
        return self._ended is not None

    def result(self, timeout: float | None = None) -> _T:
        result, error = self._outcome(timeout)
        try:
            if error is not None:
                raise error
            return result  # type: ignore[no-any-return]
        finally:
            # An error knows the frames that it went through, and these would know it.
            del self, error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        return self._outcome(timeout)[1]

    def _outcome(self, timeout: float | None) -> tuple[Any, BaseException | None]:
        seconds = -1 if timeout is None else min(max(timeout, 0), threading.TIMEOUT_MAX)
        if self._ended is None and self._working.acquire(timeout=seconds):
            self._working.release()
        if self._ended is None:
            raise TimeoutError
        return self._ended


def _starts(target: Callable[[], None], name: str) -> bool:
    thread = Thread(target=target, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        if thread not in threading.enumerate() and thread.ident is None:
            return False
        # It did, and what is said is no more than what became of a signal's exception in between.
        raise error.__context__ or error from None
    return True


def _outcome(work: Callable[[], _T]) -> tuple[_T | None, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001 - the waiting side raises it again
        return None, error
