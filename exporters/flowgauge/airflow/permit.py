"""The rate limit that every delivery to MLflow keeps."""

import time
from collections.abc import Callable
from dataclasses import replace

from flowgauge.airflow.rate_limiter import RateLimit
from flowgauge.store.store import Store

__all__ = ["permit_interval", "seen_interval", "wait_for_permit"]

_LIMIT = RateLimit("mlflow_api", max_calls=20, window_seconds=60)


def wait_for_permit(
    seconds: float | None = None, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Return once a payload may be sent; raise `RateLimitExceeded` if none may within *seconds*."""
    replace(_LIMIT, max_wait_seconds=seconds).wait(sleep)


def permit_interval(store: Store) -> float:
    """Return the seconds between two payloads that are sent at an even pace."""
    for state in store.windows.states():
        if state.key == _LIMIT.key and state.is_set:
            return state.window_seconds / state.max_calls
    limit = _LIMIT.as_configured()
    return limit.window_seconds / limit.max_calls


def seen_interval(store: Store) -> float | None:
    """Return the seconds between two payloads in the limit's last window; None if none was sent."""
    for state in store.windows.states():
        if state.key == _LIMIT.key and state.window_calls:
            return state.window_seconds / state.window_calls
    return None
