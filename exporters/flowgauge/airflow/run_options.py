"""How a log call wants its run to be, beside what is in it."""

import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from flowgauge.airflow.artifacts import read_artifacts
from flowgauge.airflow.values import Unfit, Values, guarded, told

__all__ = ["RunOptions", "RunShape", "read_options"]

_STATUSES = ("FINISHED", "FAILED", "KILLED", "RUNNING")
_MOST_STEP = 2**62
_LATEST_SECONDS = 253_402_300_799.0  # the end of the year 9999
_PARENT_TAG = "mlflow.parentRunId"


class RunOptions(NamedTuple):
    """The arguments of a log call, as they were given; None is not given."""

    run_id: object = None
    status: object = None
    start_time: object = None
    end_time: object = None
    step: object = None
    once: object = None
    artifacts: object = None


class RunShape(NamedTuple):
    """The same, read; times are Unix milliseconds, artifacts base64 by name.

    `experiment_id` is that of the run that `parent_tags` name, if there is one.
    """

    run_id: str | None = None
    status: str = "FINISHED"
    start_ms: int | None = None
    end_ms: int | None = None
    step: int = 0
    once: bool = False
    experiment_id: str | None = None
    parent_tags: Mapping[str, str] = MappingProxyType({})
    artifacts: Mapping[str, str] = MappingProxyType({})


def read_options(options: RunOptions, left_out: list[str]) -> RunShape:
    """Return what *options* say; what of them cannot be taken is noted in *left_out*.

    Inside `mlflow.start_run()` of this process the run is a child of that run, unless it is to be
    added to one.
    """

    def read(name: str, default: Any, reader: Callable[[Any], Any]) -> Any:
        value = getattr(options, name)
        try:
            return default if value is None else guarded(lambda: reader(value))
        except Unfit as unfit:
            left_out.append(f"{name} {unfit}")
            return default

    run_id = read("run_id", None, _run_id)
    parent = None if run_id else _active_run()
    return RunShape(
        run_id=run_id,
        # A run that is added to ends when whoever made it says so.
        status=read("status", "" if run_id else "FINISHED", _status),
        start_ms=read("start_time", None, _milliseconds),
        end_ms=read("end_time", None, _milliseconds),
        step=read("step", 0, _step),
        once=read("once", False, _once),
        experiment_id=parent[1] if parent else None,
        parent_tags={_PARENT_TAG: parent[0]} if parent else {},
        artifacts=read_artifacts(options.artifacts, left_out),
    )


def _active_run() -> tuple[str, str] | None:
    """Return the ids of run and experiment that MLflow's own functions log to, in this thread."""
    # Only who has imported MLflow has one.
    mlflow = sys.modules.get("mlflow")
    try:
        active = mlflow.active_run() if mlflow else None
        return (str(active.info.run_id), str(active.info.experiment_id)) if active else None
    # Half imported, or somebody's own module of that name.
    except Exception:  # noqa: BLE001
        return None


def _run_id(value: Any) -> str:
    run_id = Values().text(value).strip()
    if not run_id:
        raise Unfit("must be the id of a run, not an empty text")
    return run_id


def _status(value: Any) -> str:
    status = Values().text(value).upper()
    if status not in _STATUSES:
        raise Unfit(f"must be one of {', '.join(_STATUSES)}")
    return status


def _milliseconds(value: Any) -> int:
    if isinstance(value, datetime):
        seconds = value.timestamp()
    elif isinstance(value, date):
        raise Unfit("must be a point in time, not a day")
    else:
        seconds = Values().number(value)
    if not 0 <= seconds <= _LATEST_SECONDS:
        raise Unfit(f"must be a datetime or a Unix time in seconds, not {told(value)}")
    return round(seconds * 1000)


def _step(value: Any) -> int:
    step = Values().integer(value)
    if step is None or abs(step) > _MOST_STEP:
        raise Unfit(f"must be a whole number, not {told(value)}")
    return step


def _once(value: Any) -> bool:
    if value != "task":
        raise Unfit('must be "task"')
    return True
