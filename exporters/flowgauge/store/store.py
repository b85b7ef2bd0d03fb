"""What a store is: three concerns at one place.

Tasks write, the exporter reads. Whatever is counted is counted in the same atomic step as the
thing itself, so a task that is killed leaves both or neither. All times are Unix seconds on the
store's own clock; durations are seconds.
"""

from flowgauge.store.counts import Counts
from flowgauge.store.engine import Engine
from flowgauge.store.outbox import Outbox
from flowgauge.store.windows import Windows

__all__ = ["Store"]


class Store:
    """One store, kept by an *engine* and shared by many processes.

    Every step raises `StoreUnavailableError` when the store does not answer within the time-out it
    was opened with, and `StoreError` when it refuses.
    """

    def __init__(self, engine: Engine) -> None:
        self.windows = Windows(engine.step)
        self.counts = Counts(engine.step)
        self.outbox = Outbox(engine.step)
        self.about = engine.about
        self.risks = engine.risks
        self.init = engine.init
        self.close = engine.close
