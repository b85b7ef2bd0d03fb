"""A time budget that several steps share."""

import time
from collections.abc import Callable

from flowgauge.tracking.errors import TrackingUnreachableError

__all__ = ["Deadline"]


class Deadline:
    """Ends *seconds* from now, on *clock*."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds = seconds
        self._start = clock()

    @property
    def left(self) -> float:
        """Seconds left, 0 once it has passed."""
        return max(self._seconds - self.spent, 0.0)

    @property
    def spent(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._start

    def allot(self) -> float:
        """Return the seconds left for a request; raise `TrackingUnreachableError` if none are."""
        if not self.left:
            raise TrackingUnreachableError(
                f"MLflow took up the {self._seconds:g} s allotted to it: see whether it is slow"
            )
        return self.left
