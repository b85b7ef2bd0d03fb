"""A task that waits for a rate limit, so that the tasks after it need not."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from flowgauge.airflow.fail_open import fail_open
from flowgauge.airflow.host.names import airflow_name
from flowgauge.airflow.rate_limiter import RateLimit
from flowgauge.airflow.shared_store import shared_store
from flowgauge.airflow.trigger import DEFERRED_GRACE_SECONDS, RateLimitTrigger
from flowgauge.airflow.turnstile import patiently
from flowgauge.store.errors import StoreError

__all__ = ["RateLimitSensor"]

_BaseSensorOperator: Any = airflow_name("BaseSensorOperator")
_log = logging.getLogger(__name__)


class RateLimitSensor(_BaseSensorOperator):  # type: ignore[misc] # Airflow is not followed by mypy
    """Succeeds once the rate limit *variable_key* has granted a call, which it takes.

    The numbers are those of `rate_limit`, with which it counts together, overridden as for it. With
    *deferrable* it waits in the triggerer and holds no worker; else in its worker. Sensors'
    `timeout` says how long at most. A store that does not answer lets it through, counted as for
    `rate_limit`.
    """

    def __init__(
        self,
        *,
        variable_key: str,
        max_calls: int,
        window_seconds: float,
        deferrable: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.limit = RateLimit(variable_key, max_calls, window_seconds)
        self.deferrable = deferrable

    def execute(self, context: Mapping[str, Any]) -> None:  # noqa: ARG002 - Airflow's signature
        """Return once the call is granted, or leave the waiting to the trigger."""
        limit = self.limit.as_configured()
        if not self.deferrable:
            replace(limit, max_wait_seconds=self.timeout).wait()
            return
        ticket, since = uuid4().hex, time.time()
        try:
            windows = shared_store().windows
            wait = patiently(
                lambda: windows.acquire(
                    limit.key,
                    ticket,
                    limit.max_calls,
                    limit.window_seconds,
                    0,
                    grace_seconds=DEFERRED_GRACE_SECONDS,
                ),
                limit.key,
                self.timeout,
            )
        except StoreError as error:
            fail_open(limit.key).let_through(error)
            return
        if not wait.granted:
            _log.info("Rate limit exceeded, deferred for %.1f s (%s)", wait.wait_seconds, limit.key)
            self.defer(
                trigger=RateLimitTrigger(
                    limit.key, limit.max_calls, limit.window_seconds, ticket, since
                ),
                method_name="resume",
                timeout=timedelta(seconds=self.timeout),
            )

    def resume(self, context: Mapping[str, Any], event: Mapping[str, Any]) -> None:  # noqa: ARG002
        """End, as the trigger has the call."""
        _log.info("Granted after %.1f s (%s)", event["waited_seconds"], self.limit.key)
