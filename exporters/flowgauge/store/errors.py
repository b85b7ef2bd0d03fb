"""What can be wrong with a store."""

from flowgauge.errors import FlowgaugeError

__all__ = ["StoreBusyError", "StoreError", "StoreUnavailableError"]


class StoreError(FlowgaugeError):
    """The store refused: wrong schema version, wrong URL, no permission."""


class StoreUnavailableError(StoreError):
    """The store did not answer in time, or cannot work now: busy, down, loading, disk full."""


class StoreBusyError(StoreUnavailableError):
    """The store lives, and others keep it busy: it answers whoever asks again."""
