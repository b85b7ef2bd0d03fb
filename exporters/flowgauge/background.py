"""Work that may hang, done beside the caller."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

__all__ = ["in_background"]

_T = TypeVar("_T")


def in_background(work: Callable[[], _T], name: str) -> Future[_T]:
    """Start *work* in a thread called *name*; `result(timeout)` of what is returned waits for it.

    The thread is a daemon, unlike those of `ThreadPoolExecutor`, which Python joins at its end:
    work that hangs for ever holds up neither the caller nor the end of the process.
    """
    future: Future[_T] = Future()
    # Whoever waits may go away. Cancelled, it would take neither a result nor an error.
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the waiting side raises it again
            future.set_exception(error)

    Thread(target=run, name=name, daemon=True).start()
    return future
