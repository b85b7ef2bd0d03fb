"""A time budget that several steps share."""

import time
from collections.abc import Callable

from flowgauge.errors import FlowgaugeError

__all__ = ["BUDGET_SECONDS", "LONGEST_SECONDS", "Deadline", "OutOfTimeError"]

BUDGET_SECONDS = 10.0
"""What a log call has, unless told otherwise."""

LONGEST_SECONDS = 24 * 3600.0
"""Who says more means without end, for which neither threads nor sockets wait."""

# A request that is given less would only be cut short.
_SHORTEST_SECONDS = 0.1


class OutOfTimeError(FlowgaugeError):
    """The time was over before MLflow was asked, or while it answered one request after another."""


class Deadline:
    """Ends *seconds* from when it *began*, by default now, on *clock*; in a day at the latest."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        began: float | None = None,
    ) -> None:
        self._clock = clock
        self._seconds = min(seconds, LONGEST_SECONDS)
        self._start = clock() if began is None else began

    @property
    def left(self) -> float:
        """Seconds left, 0 once it has passed."""
        return max(self._seconds - self.spent, 0.0)

    @property
    def spent(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._start

    def allot(self) -> float:
        """Return the seconds left for a request; raise `OutOfTimeError` if none are."""
        if self.left < _SHORTEST_SECONDS:
            raise OutOfTimeError(
                f"the {self._seconds:.3g} s there were for it did not suffice, though MLflow "
                "answered: see whether it is slow"
            )
        return self.left
