"""A process's threads before the store: in a crowd of them each would find it slow."""

import functools
import os
import time
from collections.abc import Callable
from itertools import cycle
from threading import RLock
from typing import TypeVar

from flowgauge.airflow.fail_open import fail_open
from flowgauge.store.errors import StoreBusyError, StoreUnavailableError

__all__ = ["Turnstile", "patiently"]

_WIDTH = 4
_BUSY_SECONDS = 30.0
_T = TypeVar("_T")


class Turnstile:
    """Lets *width* threads ask at a time; the store's time-out begins once one is let through."""

    def __init__(self, width: int = _WIDTH) -> None:
        # No semaphore, which is written in Python: a signal's exception may hit between two of its
        # steps, and leave it locked for good.
        self._lanes = cycle([RLock() for _ in range(width)])
        self._failures = 0
        self._why = ""

    def through(self, ask: Callable[[], _T]) -> _T:
        """Return what *ask* does.

        Raises `StoreUnavailableError` without asking if somebody else found meanwhile that the
        store does not answer: or else a thousand would wait for a dead store one after the other.
        """
        failures = self._failures
        with next(self._lanes):
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


def patiently(
    ask: Callable[[], _T],
    key: str,
    longest: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> _T:
    """Return what *ask* does for the rate limit *key*, in this thread's turn.

    A store that others keep busy is asked again, for the *longest* seconds, half a minute at most.
    Raises `StoreError`.
    """
    patience = _BUSY_SECONDS if longest is None else min(longest, _BUSY_SECONDS)
    begun = clock()
    was_asked_again = False
    while True:
        try:
            return _of_process(os.getpid()).through(ask)
        except StoreBusyError:
            if clock() - begun >= patience:
                raise
        except StoreUnavailableError:
            # On a busy machine it may be this process that was late, which it is not for long.
            if was_asked_again or fail_open(key).is_known:
                raise
            was_asked_again = True


@functools.cache
def _of_process(_: int) -> Turnstile:
    # A fork may come while a thread is in its parent's.
    return Turnstile()
