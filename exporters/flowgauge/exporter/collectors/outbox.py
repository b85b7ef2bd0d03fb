"""How full the outbox is."""

from collections.abc import Iterator
from dataclasses import dataclass

from flowgauge.exporter.collector import Context, Family
from flowgauge.exporter.families import family
from flowgauge.metrics import OUTBOX_ENTRIES, OUTBOX_OLDEST, OUTBOX_POISON

__all__ = ["OutboxCollector"]


@dataclass(frozen=True)
class OutboxCollector:
    """Shows the outbox of the store."""

    context: Context
    name = "outbox"
    time_limit_seconds = 5.0

    def collect(self) -> Iterator[Family]:
        """Yield `mlflow_outbox_*`; an empty outbox has no oldest entry."""
        state = self.context.store.outbox.state()
        yield family(OUTBOX_ENTRIES, {(): state.entries})
        yield family(OUTBOX_POISON, {(): state.poison})
        yield family(OUTBOX_OLDEST, {} if state.oldest is None else {(): state.oldest})
