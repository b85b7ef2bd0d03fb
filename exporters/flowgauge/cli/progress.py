"""How far a long command is, on a terminal and without one."""

import time
from collections.abc import Callable
from typing import TextIO

__all__ = ["Progress", "about"]

_EVERY_SECONDS = 30.0


class Progress:
    """Says how much of *total* is done, and how long the rest will take.

    On a terminal one line is written again and again; elsewhere a new one every half minute.
    """

    def __init__(
        self, total: int, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._stream = stream
        self._clock = clock
        self._started = self._said = clock()
        self._terminal = stream.isatty()

    def show(self, done: int, remark: str) -> None:
        """Say that *done* are done, and the *remark*."""
        now = self._clock()
        if not self._terminal and now - self._said < _EVERY_SECONDS:
            return
        self._said = now
        left = (now - self._started) / done * (self._total - done)
        line = f"{done} of {self._total} mutants, {remark}, about {about(left)} left"
        self._stream.write(f"\r\x1b[K{line}" if self._terminal else f"{line}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Make room on the terminal for other lines."""
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def about(seconds: float) -> str:
    """Return *seconds* as people say it."""
    if seconds < 90:  # noqa: PLR2004 - then minutes read better
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - likewise
