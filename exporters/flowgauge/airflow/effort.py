"""MLflow's own functions, on best effort: MLflow may fail, the task goes on."""

import inspect
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import wraps
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

from flowgauge.airflow.context import current_task
from flowgauge.airflow.host import stats
from flowgauge.airflow.time_budget import mlflow_within
from flowgauge.errors import UsageError
from flowgauge.loading import loading
from flowgauge.redact import quote, without

__all__ = ["best_effort"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

# Kept back for the store, which counts a failure, and for Airflow's metrics.
_STORE_SECONDS = 1.0
# Where MLflow calls what may be away: its server, a database, a bucket.
_OUTWARDS = ("mlflow.store.", "mlflow.tracking.", "mlflow.utils.rest_utils", "mlflow.data.")
_log = logging.getLogger(__name__)


class best_effort:  # noqa: N801 - reads as the function that it is to its users
    """Around MLflow's own functions: as a `with` block, or as a decorator of a function.

    In the block MLflow's client may wait for *budget_seconds* in all. When it fails, or has used
    them up, the block ends there; the error is logged as one warning and counted by DAG, and the
    task goes on after the block. A decorated function returns None then. Errors that are not
    MLflow's are raised as ever. Nothing is kept for later: that is what `log_with_mlflow` does.

    What does not go over HTTP by `requests`, such as an upload straight to S3, is not bounded; its
    errors are caught. Raises `UsageError` for a budget that is none, and for an async function.
    """

    def __init__(self, budget_seconds: float = 10.0) -> None:
        if not isinstance(budget_seconds, int | float) or not 0 < budget_seconds < math.inf:
            raise UsageError("best_effort needs seconds above 0, or none: write @best_effort()")
        self._seconds = budget_seconds
        self._block = ExitStack()

    def __call__(
        self, function: Callable[_Arguments, _Result]
    ) -> Callable[_Arguments, _Result | None]:
        """Return *function*, each call in a block of its own."""
        if inspect.iscoroutinefunction(function):
            raise UsageError(
                f"best_effort cannot go around the async function {function.__name__}: "
                "MLflow's functions wait, put them into a function that is not async"
            )

        @wraps(function)
        def guarded(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result | None:
            with best_effort(self._seconds):
                return function(*args, **kwargs)
            return None

        return guarded

    def __enter__(self) -> None:
        seconds = max(self._seconds - _STORE_SECONDS, self._seconds / 2)
        self._block.enter_context(mlflow_within(seconds))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._block.close()
        if not isinstance(error, Exception) or not _is_mlflows(error):
            return False
        if (own := _hidden_error(error)) is not None:
            raise own
        _report(error)
        return True


def _report(error: Exception) -> None:
    # Load the store: for a task in trouble, not for the parser.
    with loading():
        from flowgauge.airflow.shared_store import tell_store  # noqa: PLC0415
        from flowgauge.metrics import DAG_BEST_EFFORT_FAILURES  # noqa: PLC0415
        from flowgauge.store.counts import Count  # noqa: PLC0415
        from flowgauge.tracking.secrets import known_secrets  # noqa: PLC0415

    task = current_task()
    told = without(str(error), known_secrets(_tracking_uri(), os.environ))
    _log.warning("MLflow failed, and the task goes on without: %s", quote(told))
    stats.count("mlflow.best_effort.failed", task.dag_id, task.task_id)
    count = Count(DAG_BEST_EFFORT_FAILURES, (task.dag_id, task.task_id))
    tell_store(lambda store: store.counts.add(count))


def _tracking_uri() -> str:
    """Return where MLflow, which has failed, was to go."""
    with suppress(Exception):
        return str(sys.modules["mlflow"].get_tracking_uri())
    return ""


def _is_mlflows(error: BaseException) -> bool:
    """Return whether MLflow raised *error*, or what it called to reach beyond the process."""
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__]
    if "mlflow.exceptions.MlflowException" in names:
        return True
    # Airflow's, such as a time-out of the task, may reach it anywhere.
    if any(name.partition(".")[0] == "airflow" for name in names):
        return False
    return any(_module(frame).startswith(_OUTWARDS) for frame in _frames(error))


def _hidden_error(error: BaseException) -> BaseException | None:
    """Return the user's own error that ended `with mlflow.start_run()`, if *error* is in its place.

    MLflow, told at the end of that block that the run has failed, could not be reached either.
    """
    caller: FrameType | None = None
    for frame in _frames(error):
        if _module(frame).startswith("mlflow."):
            if frame.f_code.co_name != "__exit__":
                return None
            break
        caller = frame
    earlier = error.__context__
    while earlier is not None:
        if next(_frames(earlier), None) is caller and not _is_mlflows(earlier):
            return earlier
        earlier = earlier.__context__
    return None


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames *error* went through, the outermost first."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
