"""Which task, callback or listener is running, in Airflow's own words."""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from flowgauge.airflow.host.names import airflow_is_loaded, airflow_name

__all__ = ["resumed_by", "running_context"]


def running_context() -> Mapping[str, Any] | None:
    """Return Airflow's context of what is running; None outside Airflow, and in other processes."""
    if not airflow_is_loaded():
        return None
    return _of_task() or _of_callback()


def resumed_by(instance: Any) -> str:
    """Return the method by which a deferred task instance goes on; empty if it was not deferred."""
    # Airflow 3 has it from its server, 2 in the instance itself, which may raise what it likes.
    with suppress(Exception):
        told = getattr(instance, "_ti_context_from_server", instance)
        return str(told.next_method or "")
    return ""


def _of_task() -> Mapping[str, Any] | None:
    try:
        return _get_current_context()()
    # No task is running: 2.11 raises AirflowException, 3 RuntimeError. Or Airflow is half loaded.
    except Exception:  # noqa: BLE001
        return None


# Looking where Airflow 2 has no such place takes a while, and MLflow asks at every request.
@cache
def _get_current_context() -> Callable[[], Mapping[str, Any]]:
    found: Callable[[], Mapping[str, Any]] = airflow_name("get_current_context")
    return found


def _of_callback() -> Mapping[str, Any] | None:
    """Find the context that Airflow, calling a callback or a listener, has in its hands.

    It tells nobody but the callback, as an argument: what a callback calls has to look for it.
    """
    frame = sys._getframe()  # noqa: SLF001 - what `inspect` does, without reading the sources
    while frame := frame.f_back:  # type: ignore[assignment] # None ends the loop
        if str(frame.f_globals.get("__name__")).startswith("airflow."):
            context = frame.f_locals.get("context")
            if isinstance(context, Mapping) and "dag" in context and "run_id" in context:
                return context
    return None
