"""What came of calls that were killed."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from mlflow import MlflowClient

from flowgauge.airflow.attempt import SENDING
from flowgauge.airflow.connection import connect
from flowgauge.airflow.late_runs import LATE_RUN
from flowgauge.airflow.outbox import flush
from flowgauge.airflow.write_ahead import LEASE_SECONDS
from flowgauge.metrics import DAG_LOG_FAILURES, DAG_LOGS, DAG_LOGS_DEFERRED
from flowgauge.store import Store, open_store
from stack.faults.ahead import store_ahead
from stack.faults.killed_calls import EVERY, FROM_REQUEST
from stack.process import StackError, wait_for

__all__ = ["Aftermath", "Killed", "kill_calls", "settle_all"]

_MOST_ENTRIES = 100_000
_STORE_SECONDS = 30.0


@dataclass(frozen=True)
class Killed:
    """Calls of *experiment* by number: whether each wrote its payload down before it was killed.

    Each was given *seconds*.

    `kills` is how many were killed, `deferred` how many payloads a call left in the outbox for
    others, `sending` how many of these were held by a call that is dead.
    """

    experiment: str
    seconds: float
    calls: Mapping[int, bool]
    kills: int
    deferred: int
    sending: int


@dataclass(frozen=True)
class Aftermath:
    """What became of *killed* calls.

    `runs` is how many finished runs each has in MLflow; `unfinished` counts the other runs. The
    rest is what the store counted.
    """

    killed: Killed
    runs: Mapping[int, int]
    unfinished: int
    logs: float
    deferred: float
    failures: Mapping[str, float]

    @property
    def early(self) -> Sequence[int]:
        """The calls killed before they had written anything down."""
        return [
            call for call, wrote in self.killed.calls.items() if not (wrote or call in self.runs)
        ]

    @property
    def lost(self) -> Sequence[int]:
        """The other calls without a run."""
        return [call for call, wrote in self.killed.calls.items() if wrote and not self.runs[call]]

    @property
    def doubled(self) -> Sequence[int]:
        """The calls with more than one run."""
        return [call for call, number in self.runs.items() if number > 1]

    @property
    def arrived(self) -> int:
        """How many calls have a run."""
        return len(self.runs)

    @property
    def miscounted(self) -> Sequence[str]:
        """What the store counted otherwise than it was."""
        killed = self.failures.get("killed", 0)
        counts = {
            "logged": (self.logs, self.arrived),
            "deferred": (self.deferred, self.killed.deferred),
            "killed": (killed, self.killed.sending),
        }
        return [
            f"{name} {counted:g}, not {true}"
            for name, (counted, true) in counts.items()
            if counted != true
        ]

    @property
    def is_well(self) -> bool:
        """Whether all that was written down is one finished run, and counted as one."""
        return not (self.lost or self.doubled or self.unfinished or self.miscounted)


def kill_calls(
    experiment: str,
    *,
    call: str,
    places: str,
    step: int,
    seconds: float,
    environ: Mapping[str, str],
    every: bool = False,
    from_request: bool = False,
) -> Killed:
    """Make calls, killing one at each *step*-th place (see `killed_calls`), and look at the outbox.

    Each may take *seconds*: as long, and 20 s more, nobody else sends its payload. *environ* is
    added to this process's: it names MLflow, if need be in several ways, and the store. Raises
    `StackError` if all together took longer.
    """
    began = time.monotonic()
    options = [EVERY] * every + [FROM_REQUEST] * from_request
    command = [sys.executable, "-m", "stack.faults.killed_calls", call, places, experiment]
    done = subprocess.run(
        [*command, str(seconds), str(step), *options],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    if time.monotonic() - began > seconds + LEASE_SECONDS:
        raise StackError(f"the calls took longer than {seconds:g} s: others may have sent some")
    numbers = map(int, done.stdout.split())
    told = list(zip(numbers, numbers, numbers, strict=True))
    calls = {number: bool(wrote) for number, wrote, _ in told}
    kills = sum(was_killed for *_, was_killed in told)
    with closing(open_store(environ["FLOWGAUGE_STORE"], timeout_seconds=_STORE_SECONDS)) as store:
        notes = [each.reason for each in store.outbox.each_entry(_MOST_ENTRIES)]
    waiting = [note for note in notes if note != LATE_RUN]
    # What a flush sends was left by a call for later each time, and is not there any more.
    deferred = len(calls) if call == "flush" else len(waiting)
    return Killed(experiment, seconds, calls, kills, deferred, waiting.count(SENDING))


def settle_all(killed: Killed, *, mlflow_url: str, store_url: str) -> Aftermath:
    """Empty the outbox at *store_url*, as once all leases are over, and count what there is."""
    with store_ahead(store_url, killed.seconds + LEASE_SECONDS) as store:

        def is_empty() -> bool:
            flush(store, connect(mlflow_url), seconds=20)
            # Looks for a second run are due when all is over.
            return all(entry.reason == LATE_RUN for entry in store.outbox.each_entry(_MOST_ENTRIES))

        wait_for(is_empty, "the outbox is empty", timeout=1800, interval=1)
        return _look(killed, mlflow_url, store)


def _look(killed: Killed, mlflow_url: str, store: Store) -> Aftermath:
    client = MlflowClient(mlflow_url)
    found = client.get_experiment_by_name(killed.experiment)
    runs = client.search_runs([found.experiment_id], max_results=50_000) if found else []
    finished = [run for run in runs if run.info.status == "FINISHED"]
    # Outside Airflow all calls are of one pair, whose names are empty.
    (pair,) = store.counts.totals("dag_id", "task_id")
    return Aftermath(
        killed=killed,
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
