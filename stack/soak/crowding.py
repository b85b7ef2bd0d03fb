"""Task processes that all use one store at once: what it counted, beside the truth."""

import logging
import multiprocessing
import os
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

# Loads here what each task would load.
import flowgauge.airflow.log_call  # noqa: F401
from flowgauge.airflow import log_with_mlflow
from flowgauge.airflow.fail_open import report_fail_opens
from flowgauge.airflow.rate_limiter import RateLimit
from flowgauge.airflow.spool import drain_spool, spool_state
from flowgauge.metrics import DAG_LOGS_DEFERRED
from flowgauge.store import Store, open_store
from flowgauge.store.outbox import Lease
from flowgauge.store.rate_limits import rate_limits
from stack.incidents.load import environment
from stack.process import StackError, wait_for

__all__ = ["Tally", "crowd"]

_DAG = "crowded"
_CALLS = 4
_MANY = 1_000_000
_PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Tally:
    """What *processes* did, and what the store says of it.

    A payload that a busy store did not take in time lies in a file, `spooled`, until somebody reads
    it. A call of the rate limit that it did not answer in time is `let_through`.
    """

    processes: int
    payloads: int
    waiting: float
    counted: float
    spooled: int
    limited: float
    let_through: float

    @property
    def is_true(self) -> bool:
        """Whether nothing is missing, and nothing counted twice."""
        return (
            self.waiting == self.counted == self.payloads
            and not self.spooled
            and self.limited + self.let_through == self.payloads
        )


def crowd(store: str, folder: Path, number: int) -> Tally:
    """Let *number* processes, all at once, log for later at a limited rate, each a few times."""
    settings = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CTX_DAG_ID": _DAG,
        "AIRFLOW_CTX_TASK_ID": "load",
        "FLOWGAUGE_STORE": store,
    }
    with environment(settings), closing(open_store(store, timeout_seconds=60)) as opened:
        opened.init()
        fork = multiprocessing.get_context("fork")
        everybody = fork.Barrier(number)
        tasks = [fork.Process(target=_task, args=(everybody,)) for _ in range(number)]
        for task in tasks:
            task.start()
        for task in tasks:
            task.join()
        assert not any(task.exitcode for task in tasks)
        with suppress(StackError):
            wait_for(lambda: _settled(opened, number), "all is counted", timeout=_PATIENCE_SECONDS)
        return _tally(opened, number)


def _settled(store: Store, number: int) -> bool:
    """Do what the next tasks would, and the relay; return whether that was all.

    A file becomes an entry; an entry whose call gave the store up is counted when its lease ends.
    """
    drain_spool(store, seconds=_PATIENCE_SECONDS)
    store.outbox.claim(Lease(_DAG, 0.001), number * _CALLS)
    return _tally(store, number).is_true


def _tally(store: Store, number: int) -> Tally:
    (limit,) = [each for each in rate_limits(store) if each["key"] == _DAG]
    counted = [
        each.of(DAG_LOGS_DEFERRED) or 0
        for each in store.counts.totals("dag_id", "task_id")
        if each.labels[0] == _DAG
    ]
    return Tally(
        processes=number,
        payloads=number * _CALLS,
        waiting=store.outbox.state().entries,
        counted=sum(counted),
        spooled=spool_state(os.environ).waiting,
        limited=limit["calls"],
        let_through=limit["fail_open"],
    )


def _task(everybody: Barrier) -> None:
    logging.disable()
    everybody.wait()
    for _ in range(_CALLS):
        RateLimit(_DAG, _MANY, 1).wait()
        log_with_mlflow({"rows": 1}, delivery="later")
    # As Airflow's listener does at the end of a task.
    report_fail_opens()
