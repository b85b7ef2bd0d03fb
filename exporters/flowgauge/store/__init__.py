"""The store: what tasks write and the exporter reads."""

from flowgauge.store.base import (
    GRACE_SECONDS,
    RECHECK_SECONDS,
    Deferral,
    Grant,
    Logged,
    LogTotals,
    OutboxEntry,
    OutboxState,
    PairTotals,
    Store,
    StoreError,
    StoreUnavailableError,
    WindowState,
)
from flowgauge.store.opening import open_store, store_url

__all__ = [
    "GRACE_SECONDS",
    "RECHECK_SECONDS",
    "Deferral",
    "Grant",
    "LogTotals",
    "Logged",
    "OutboxEntry",
    "OutboxState",
    "PairTotals",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "WindowState",
    "open_store",
    "store_url",
]
