"""The store of this process: opened once, and kept connected."""

import functools
import logging
from collections.abc import Callable

from flowgauge.store.errors import StoreError
from flowgauge.store.opening import open_store, store_url
from flowgauge.store.store import Store

__all__ = ["shared_store", "tell_store"]

_log = logging.getLogger(__name__)


def shared_store() -> Store:
    """Return the store that `store_url` names now; a thread or a fork may use it as it is.

    Raises `StoreError` for a URL that names none.
    """
    return _store(store_url())


def tell_store(action: Callable[[Store], object]) -> bool:
    """Do *action* on the shared store and return whether it worked; if not, say so in the log."""
    try:
        action(shared_store())
    except StoreError as error:
        _log.warning("The log call could not be counted: %s", error)
        return False
    return True


@functools.cache
def _store(url: str) -> Store:
    return open_store(url)
