"""The promise of the log call, put to the test: MLflow is killed again and again."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from stack.mlflow import MlflowServer, mlflow_server
from stack.process import free_port, wait_for
from tests.airflow.conftest import Surroundings

pytestmark = pytest.mark.whole_system(seconds=40)

_TASKS = 4
_BUDGET_SECONDS = 10.0
# What a busy machine may add to a budget.
_SLACK_SECONDS = 5.0

# A task logs its calls and, when the killing takes longer, more; it notes how each went.
_TASK = """
import json, pathlib, random, sys, time
from flowgauge.airflow import log_with_mlflow

task, calls, stop, experiment = sys.argv[1:]
number = 0
while number < int(calls) or not pathlib.Path(stop).exists():
    started = time.monotonic()
    run_id = log_with_mlflow({"params": {"call": f"{task}.{number}"}}, experiment=experiment)
    print(json.dumps([f"{task}.{number}", run_id, time.monotonic() - started]), flush=True)
    time.sleep(random.uniform(0, 0.1) if run_id else 1)
    number += 1
"""


class _Tasks:
    """Processes that log, and what they noted."""

    def __init__(self, folder: Path, experiment: str, calls: int) -> None:
        self._stop = folder / "stop"
        self._notes = [folder / f"task{number}.jsonl" for number in range(_TASKS)]
        self._processes = []
        for number, notes in enumerate(self._notes):
            command = [sys.executable, "-c", _TASK, str(number), str(calls), str(self._stop)]
            with notes.open("w") as output:
                self._processes.append(subprocess.Popen([*command, experiment], stdout=output))

    def calls(self) -> list[tuple[str, str | None, float]]:
        """Return every call so far: its name, its run, its seconds."""
        lines = [line for notes in self._notes for line in notes.read_text().split("\n")[:-1]]
        return [(name, run_id, seconds) for name, run_id, seconds in map(json.loads, lines)]

    def let_through(self, calls: int) -> None:
        """Wait until that many more have come back with a run."""

        def arrived() -> int:
            return sum(run_id is not None for _, run_id, _ in self.calls())

        enough = arrived() + calls
        wait_for(lambda: arrived() >= enough, "calls get through", timeout=240)

    def finish(self) -> None:
        """Let each end after its next call, and check that none failed."""
        self._stop.touch()
        assert [process.wait(240) for process in self._processes] == [0] * _TASKS


@contextmanager
def _killed_at_the_end(folder: Path, port: int) -> Iterator[MlflowServer]:
    with mlflow_server(folder, port=port) as server:
        yield server
        parent = psutil.Process(server.pid)
        for process in [parent, *parent.children(recursive=True)]:
            process.kill()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kills", "calls"), [(1, 20), pytest.param(4, 50, marks=pytest.mark.long)])
def test_killing_mlflow_loses_and_doubles_nothing(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, kills: int, calls: int
) -> None:
    """Calls of four tasks under SIGKILLs: none fails or overruns, all are one finished run each."""
    port = free_port()
    folder = surroundings.folder / "mlflow"
    url = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    tasks = _Tasks(surroundings.folder, surroundings.experiment, calls)
    for _ in range(kills):
        with _killed_at_the_end(folder, port):
            tasks.let_through(20)
    with mlflow_server(folder, port=port):
        tasks.finish()
        while surroundings.outbox():
            surroundings.flush()
        client = MlflowClient(url)
        experiment = client.get_experiment_by_name(surroundings.experiment)
        assert experiment
        runs = client.search_runs([experiment.experiment_id], max_results=50000)
    made = tasks.calls()
    assert max(seconds for _, _, seconds in made) < _BUDGET_SECONDS + _SLACK_SECONDS
    assert sum(run_id is None for _, run_id, _ in made) > 0
    assert sorted(run.data.params["call"] for run in runs) == sorted(name for name, _, _ in made)
    assert {run.info.status for run in runs} == {"FINISHED"}
