"""How late a worker's event loop is: while one call blocks it, it serves nobody."""

import asyncio
import time
from collections.abc import Callable

__all__ = ["EventLoopLag"]

_EVERY_SECONDS = 0.1
_SPAN_SECONDS = 30.0


class EventLoopLag:
    """Has the event loop call it ten times a second, and remembers by how much it came too late."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._watched = False
        self._due = 0.0
        self._span = 0
        self._worst = self._before = 0.0

    def watch(self) -> None:
        """Watch the event loop that calls this, from now on."""
        if not self._watched:
            self._come_again(asyncio.get_running_loop())
            self._watched = True

    def worst(self) -> float:
        """Return the longest delay of the last 30 to 60 seconds, in seconds; any thread may ask.

        That of a loop which is blocked just now is the time for which it has been.
        """
        if not self._watched:
            return 0.0
        now = self._clock()
        self._turn(now)
        return max(self._worst, self._before, now - self._due)

    def _come_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = self._clock() + _EVERY_SECONDS
        loop.call_later(_EVERY_SECONDS, self._came, loop)

    def _came(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self._clock()
        self._turn(now)
        self._worst = max(self._worst, now - self._due)
        self._come_again(loop)

    def _turn(self, now: float) -> None:
        """Begin a new span when its time has come."""
        span = int(now / _SPAN_SECONDS)
        if span != self._span:
            self._before = self._worst if span == self._span + 1 else 0.0
            self._worst = 0.0
            self._span = span
