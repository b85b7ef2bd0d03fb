"""The Airflow Variable that shows a rate limit to the operator, and resets it when deleted.

It is a mirror: the limit itself is in the store. Airflow's Variables have no atomic change, and a
limit kept in one let 60 calls through instead of 20.
"""

import json
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as StillRunning
from datetime import UTC, datetime
from typing import Any

from flowgauge.airflow.context import current_task
from flowgauge.background import in_background
from flowgauge.store.rate_limits import rate_limits
from flowgauge.store.store import Store

__all__ = ["VariableMirror"]

_INTERVAL_SECONDS = 5.0
# A Variable takes 5 to 20 ms; an API server that hangs must not hold up the task.
_PATIENCE_SECONDS = 0.5
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
        seconds. Takes at most half a second, and never fails.
        """
        if not self._is_time() or current_task().instance is None:
            return False
        try:
            if not store.windows.take_mirror_turn(self._key, _INTERVAL_SECONDS):
                return False
            return in_background(lambda: self._write(store), self._name).result(_PATIENCE_SECONDS)
        except StillRunning:
            return False
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
        existed = _exists(self._name)
        self._show(store)
        # Only now: an API that fails makes a Variable look deleted too, but cannot set it.
        deleted = not existed and store.windows.mirror_gone(self._key)
        if deleted:
            _log.info("The Variable %s was deleted: the rate limit starts anew", self._name)
            self._show(store)
        store.windows.mirror_written(self._key)
        return deleted

    def _show(self, store: Store) -> None:
        (limit,) = (limit for limit in rate_limits(store) if limit["key"] == self._key)
        updated = datetime.now(UTC).isoformat(timespec="seconds")
        value = json.dumps({**limit, "updated": updated}, indent=2)
        _variable().set(self._name, value, _DESCRIPTION)


def _exists(name: str) -> bool:
    variable = _variable()
    try:
        value = variable.get(name, default=None)
    except TypeError:
        # Airflow 2
        value = variable.get(name, default_var=None)
    return value is not None


def _variable() -> Any:
    try:
        from airflow.sdk import Variable  # noqa: PLC0415 - only where Airflow runs
    except ImportError:
        # Airflow 2
        from airflow.models import Variable  # noqa: PLC0415
    return Variable
