"""What would lose the outbox."""

from collections.abc import Iterator
from dataclasses import dataclass

from flowgauge.exporter.collector import Context, Family
from flowgauge.exporter.families import family
from flowgauge.metrics import STORE_RISK

__all__ = ["StoreCollector"]


@dataclass(frozen=True)
class StoreCollector:
    """Shows the risks of the store."""

    context: Context
    name = "store"
    time_limit_seconds = 5.0

    def collect(self) -> Iterator[Family]:
        """Yield `flowgauge_store_risk`, without the risks that could not be asked."""
        known: dict[tuple[str, ...], float] = {
            (risk.name,): float(risk.present)
            for risk in self.context.store.risks()
            if risk.present is not None
        }
        yield family(STORE_RISK, known)
