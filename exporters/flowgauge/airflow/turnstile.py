"""A process's threads before the store: in a crowd of them each would find it slow."""

import functools
import os
from collections.abc import Callable
from threading import Semaphore
from typing import TypeVar

from flowgauge.store.errors import StoreBusyError, StoreUnavailableError

__all__ = ["Turnstile", "turnstile"]

_WIDTH = 4
_T = TypeVar("_T")


class Turnstile:
    """Lets *width* threads ask at a time; the store's time-out begins once one is let through."""

    def __init__(self, width: int = _WIDTH) -> None:
        self._slots = Semaphore(width)
        self._failures = 0
        self._why = ""

    def through(self, ask: Callable[[], _T]) -> _T:
        """Return what *ask* does.

        Raises `StoreUnavailableError` without asking if somebody else found meanwhile that the
        store does not answer: or else a thousand would wait for a dead store one after the other.
        """
        failures = self._failures
        with self._slots:
            if self._failures != failures:
                raise StoreUnavailableError(self._why)
            try:
                return ask()
            except StoreBusyError:
                raise
            except StoreUnavailableError as error:
                self._why = str(error)
                self._failures += 1
                raise


def turnstile() -> Turnstile:
    """Return that of this process: a fork may come while a thread is in its parent's."""
    return _of_process(os.getpid())


@functools.cache
def _of_process(_: int) -> Turnstile:
    return Turnstile()
