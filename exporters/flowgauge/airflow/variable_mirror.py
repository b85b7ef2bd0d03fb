"""The Airflow Variable that shows a rate limit to the operator, and resets it when deleted.

It is a mirror: the limit itself is in the store. Airflow's Variables have no atomic change, and a
limit kept in one let 60 calls through instead of 20.
"""

import json
import logging
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

from flowgauge.airflow.context import current_task
from flowgauge.airflow.host.services import get_variable, set_variable
from flowgauge.store.rate_limits import rate_limits
from flowgauge.store.store import Store

__all__ = ["VariableMirror"]

_INTERVAL_SECONDS = 5.0
_DESCRIPTION = "Rate limit as flowgauge sees it. Delete it to reset the window."
_log = logging.getLogger(__name__)


class VariableMirror:
    """The Variable `rate_limit:<key>`; *clock* gives seconds."""

    def __init__(self, key: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = key
        self._name = f"rate_limit:{key}"
        self._clock = clock
        self._looked = -math.inf

    def refresh(self, store: Store) -> bool:
        """Bring the Variable up to date; return whether it was deleted and so reset the window.

        Does nothing outside an Airflow task, nor if any task of any host did it in the last five
        seconds. An Airflow that hangs holds it up for half a second, and it never fails.
        """
        if not self._is_time() or current_task().instance is None:
            return False
        try:
            if not store.windows.take_mirror_turn(self._key, _INTERVAL_SECONDS):
                return False
            return self._write(store)
        # Whatever is wrong with the mirror, the task goes on.
        except Exception as error:  # noqa: BLE001
            _log.debug("The Variable %s could not be brought up to date: %s", self._name, error)
            return False

    def _is_time(self) -> bool:
        now = self._clock()
        if now - self._looked < _INTERVAL_SECONDS:
            return False
        self._looked = now
        return True

    def _write(self, store: Store) -> bool:
        missing = get_variable(self._name) is None
        # An API that fails makes a Variable look deleted too, but cannot set it.
        if not self._show(store):
            return False
        deleted = missing and store.windows.mirror_gone(self._key)
        if deleted:
            _log.info("The Variable %s was deleted: the rate limit starts anew", self._name)
            self._show(store)
        store.windows.mirror_written(self._key)
        return deleted

    def _show(self, store: Store) -> bool:
        (limit,) = (limit for limit in rate_limits(store) if limit["key"] == self._key)
        updated = datetime.now(UTC).isoformat(timespec="seconds")
        value = json.dumps({**limit, "updated": updated}, indent=2)
        return set_variable(self._name, value, _DESCRIPTION)
