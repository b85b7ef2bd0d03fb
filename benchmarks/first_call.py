"""What a call costs the process that makes it first: of `log_call`, each trial is one of these.

Nothing is loaded here that a task's process has not loaded before its code begins.
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable

__all__ = ["FLUENT"]

# With the first, what the rate limit allows a minute.
_WARM_CALLS = 19
_PAYLOAD = {"rows": 442, "null_rate": 0.01}
_FACTS = {"checksum": "9f86d081", "source": "diabetes"}
_TAGS = {"environment": "dev", "component": "etl"}


def _now() -> None:
    from flowgauge.airflow import log_with_mlflow  # noqa: PLC0415 - is measured

    assert log_with_mlflow({**_PAYLOAD, **_FACTS}, "run", "benchmark", _TAGS)


def _later() -> None:
    from flowgauge.airflow import log_with_mlflow  # noqa: PLC0415 - is measured

    log_with_mlflow({**_PAYLOAD, **_FACTS}, "run", "benchmark", _TAGS, delivery="later")


def _fluent() -> None:
    import mlflow  # noqa: PLC0415 - is measured

    mlflow.set_experiment("benchmark")
    with mlflow.start_run(run_name="run"):
        for name, value in _FACTS.items():
            mlflow.log_param(name, value)
        for name, figure in _PAYLOAD.items():
            mlflow.log_metric(name, figure)
        for name, value in _TAGS.items():
            mlflow.set_tag(name, value)


FLUENT = "fluent API"
_WAYS: dict[str, Callable[[], None]] = {"now": _now, "later": _later, FLUENT: _fluent}


def _trial(way: str) -> dict[str, float]:
    """Measure in this process: seconds of the first call, of a later one, and MB on top.

    `processor` is what of the first call was work of this process, which a busy machine does not
    make longer by as much.
    """
    # What a task finds loaded, as one of a real Airflow showed: its plugins, too.
    import airflow.sdk.execution_time.task_runner  # noqa: F401, PLC0415

    import flowgauge.airflow.plugin  # noqa: F401, PLC0415

    before = _peak_mb()
    log = _WAYS[way]
    started, worked = time.perf_counter(), time.process_time()
    log()
    cold, processor = time.perf_counter() - started, time.process_time() - worked
    warm = []
    for _ in range(_WARM_CALLS):
        started = time.perf_counter()
        log()
        warm.append(time.perf_counter() - started)
    megabytes = _peak_mb() - before
    _empty_outbox()
    later = statistics.median(warm)
    return {"cold": cold, "processor": processor, "warm": later, "megabytes": megabytes}


def _empty_outbox() -> None:
    """Leave nothing for a later trial, whose calls would help to send it."""
    from flowgauge.store import open_store  # noqa: PLC0415 - is not measured

    outbox = open_store(timeout_seconds=10).outbox
    outbox.drop(*(entry.entry_id for entry in outbox.entries(1000)))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(_trial(sys.argv[1])))
