"""The store: what tasks write and the exporter reads."""

from flowgauge.store.counts import Count, Counts, Totals
from flowgauge.store.errors import StoreError, StoreUnavailableError
from flowgauge.store.opening import open_store, store_url
from flowgauge.store.outbox import Lease, NewEntry, Outbox, OutboxEntry, OutboxState
from flowgauge.store.risks import RISKS, Risk
from flowgauge.store.store import Store
from flowgauge.store.windows import GRACE_SECONDS, RECHECK_SECONDS, Grant, Windows, WindowState

__all__ = [
    "GRACE_SECONDS",
    "RECHECK_SECONDS",
    "RISKS",
    "Count",
    "Counts",
    "Grant",
    "Lease",
    "NewEntry",
    "Outbox",
    "OutboxEntry",
    "OutboxState",
    "Risk",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "Totals",
    "WindowState",
    "Windows",
    "open_store",
    "store_url",
]
