"""What a store is: three concerns at one place.

Tasks write, the exporter reads. Whatever is counted is counted in the same atomic step as the
thing itself, so a task that is killed leaves both or neither. All times are Unix seconds on the
store's own clock; durations are seconds.
"""

from typing import Protocol

from flowgauge.store.counts import Counts
from flowgauge.store.outbox import Outbox
from flowgauge.store.windows import Windows

__all__ = ["Store"]


class Store(Protocol):
    """One store, shared by many processes; connects when it is first used.

    Every step raises `StoreUnavailableError` when the store does not answer within the time-out the
    store was opened with, and `StoreError` when it refuses.
    """

    @property
    def windows(self) -> Windows:
        """The rate limits."""

    @property
    def counts(self) -> Counts:
        """What was counted."""

    @property
    def outbox(self) -> Outbox:
        """The payloads that wait for MLflow."""

    def about(self) -> str:
        """Ask the store for its engine and the engine's version, as in `Redis 7.0.15`."""

    def init(self, *roles: str) -> None:
        """Make what the store needs, as the first step does, and let *roles* use it."""

    def close(self) -> None:
        """Let go of connections; the next step opens a new one."""
