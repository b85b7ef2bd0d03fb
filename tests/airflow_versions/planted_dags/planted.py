"""A DAG of tasks that each find a secret in another place. For Airflow 2 and 3."""

import json
import os
from contextlib import suppress
from typing import Any

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import dag, task
except ImportError:
    # Airflow 2
    from airflow.decorators import dag, task  # type: ignore[no-redef]
    from airflow.operators.bash import BashOperator

from flowgauge.airflow import (
    RateLimitSensor,
    best_effort,
    configure_mlflow,
    log_with_mlflow,
    rate_limit,
    task_env,
)
from flowgauge.errors import UsageError

# By place, what is set there; the test makes it, for this file is shown by Airflow.
_PLACES: dict[str, dict[str, str]] = json.loads(os.environ.get("PLANTED", "{}"))
_PAYLOADS: dict[str, Any] = json.loads(os.environ.get("PLANTED_PAYLOADS", "{}"))
_LIMIT: Any = {"variable_key": "planted", "max_calls": 1000, "window_seconds": 60.0}
_own = dict(os.environ)


class _Moody:
    """Tells what it is asked for its text, as an error."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        raise ConnectionError(self._text)

    __repr__ = __iter__ = __float__ = __str__


def _plant(place: str) -> None:
    os.environ.clear()
    os.environ.update(_own | _PLACES[place])


@rate_limit(**_LIMIT)
def _limited() -> None:
    """Do nothing, at a limited rate."""


@dag(schedule=None)
def planted() -> None:
    """Log in every way, with every secret."""

    @task
    def finds(place: str) -> None:
        import mlflow  # noqa: PLC0415 - takes its time

        _plant(place)
        log_with_mlflow({"rows": 1}, experiment="planted", budget_seconds=3)
        log_with_mlflow({"rows": 2}, experiment="planted", delivery="later")
        _limited()
        with suppress(UsageError):
            configure_mlflow()
        with best_effort(budget_seconds=1):
            mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", ""))
            mlflow.set_experiment("planted")
            with mlflow.start_run():
                mlflow.log_metric("rows", 3)
        os.environ.clear()
        os.environ.update(_own)

    @task
    def logs() -> None:
        wrong = _PAYLOADS["wrong"]
        options = {"status": wrong, "start_time": wrong, "step": wrong}
        for delivery in ("now", "later"):
            log_with_mlflow({"params": {"own": _PAYLOADS["right"]}}, delivery=delivery)
            log_with_mlflow({"rows": wrong, "metrics": {"m": wrong}}, delivery=delivery)
            log_with_mlflow({"params": {"m": _Moody(wrong)}}, delivery=delivery)
            moody: Any = _Moody(wrong)
            log_with_mlflow(moody, tags=moody, delivery=delivery)
            log_with_mlflow(wrong, tags=wrong, delivery=delivery)
            log_with_mlflow({"rows": 1}, delivery=delivery, **options)

    def sensor(place: str, *, deferrable: bool) -> Any:
        return RateLimitSensor(
            task_id=f"waits_{deferrable}_{place}",
            deferrable=deferrable,
            pre_execute=lambda _context: _plant(place),
            **_LIMIT,
        )

    before = logs()
    for place, planted_there in _PLACES.items():
        found = finds.override(task_id=f"finds_{place}")(place)
        before >> found
        before = found
        if "FLOWGAUGE_STORE" in planted_there:
            for deferrable in (False, True):
                waits = sensor(place, deferrable=deferrable)
                before >> waits
                before = waits
    before >> BashOperator(task_id="elsewhere", bash_command="true", env=task_env())


planted()
