"""What came of log calls that were killed."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from mlflow import MlflowClient

from flowgauge.airflow.connection import connect
from flowgauge.airflow.late_runs import LATE_RUN
from flowgauge.airflow.outbox import flush
from flowgauge.metrics import DAG_LOG_FAILURES, DAG_LOGS, DAG_LOGS_DEFERRED
from flowgauge.store import Store, open_store
from stack.process import wait_for

__all__ = ["Aftermath", "kill_log_calls", "settle_all"]


@dataclass(frozen=True)
class Aftermath:
    """Calls by number, killed at the line of that number but for the first and the last.

    `runs` is how many finished runs each has in MLflow; `unfinished` counts the other runs. The
    rest is what the store counted.
    """

    calls: Sequence[int]
    runs: Mapping[int, int]
    unfinished: int
    logs: float
    deferred: float
    failures: Mapping[str, float]

    @property
    def early(self) -> Sequence[int]:
        """The calls killed before they had written anything down: those before all with a run."""
        first = next(index for index, call in enumerate(self.calls[1:], 1) if self.runs.get(call))
        return self.calls[1:first]

    @property
    def lost(self) -> Sequence[int]:
        """The other calls without a run."""
        rest = [self.calls[0], *self.calls[len(self.early) + 1 :]]
        return [call for call in rest if not self.runs.get(call)]

    @property
    def doubled(self) -> Sequence[int]:
        """The calls with more than one run."""
        return [call for call in self.calls if self.runs.get(call, 0) > 1]

    @property
    def is_well(self) -> bool:
        """Whether all that was written down is one finished run, and counted as one."""
        arrived = len(self.calls) - len(self.early)
        return not (self.lost or self.doubled or self.unfinished) and self.logs == arrived


def kill_log_calls(
    experiment: str, *, first: int = 1, step: int = 1, environ: Mapping[str, str] | None = None
) -> Sequence[int]:
    """Make log calls, killing each *step*-th line from *first* on; return their numbers.

    *environ* is added to this process's: it names MLflow and the store.
    """
    command = [sys.executable, "-m", "stack.faults.killed_calls", experiment, str(first), str(step)]
    done = subprocess.run(
        command,
        env={**os.environ, **(environ or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [0, *map(int, done.stdout.split())]


def settle_all(
    experiment: str, calls: Sequence[int], *, mlflow_url: str, store_url: str
) -> Aftermath:
    """Empty the outbox at *store_url*, once all leases are over, and count what there is."""
    with closing(open_store(store_url, timeout_seconds=30)) as store:

        def is_empty() -> bool:
            flush(store, connect(mlflow_url), seconds=20)
            # Looks for a second run are due when all is over.
            return all(entry.reason == LATE_RUN for entry in store.outbox.entries(10_000))

        wait_for(is_empty, "the outbox is empty", timeout=240, interval=1)
        return _look(experiment, calls, mlflow_url, store)


def _look(experiment: str, calls: Sequence[int], mlflow_url: str, store: Store) -> Aftermath:
    client = MlflowClient(mlflow_url)
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], max_results=50_000) if found else []
    finished = [run for run in runs if run.info.status == "FINISHED"]
    # Outside Airflow all calls are of one pair, whose names are empty.
    (pair,) = store.counts.totals("dag_id", "task_id")
    return Aftermath(
        calls=calls,
        runs=Counter(int(run.data.params["call"]) for run in finished),
        unfinished=len(runs) - len(finished),
        logs=pair.of(DAG_LOGS) or 0,
        deferred=pair.of(DAG_LOGS_DEFERRED) or 0,
        failures={
            others[0]: value
            for (name, *others), value in pair.values.items()
            if name == DAG_LOG_FAILURES.name
        },
    )
