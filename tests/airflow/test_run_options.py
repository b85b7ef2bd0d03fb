"""A run is more than one flat row."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import mlflow
import pytest
from mlflow import MlflowClient

from flowgauge.airflow import PayloadError, artifacts, entry, log_call, log_with_mlflow
from flowgauge.airflow.artifacts import read_artifacts
from flowgauge.airflow.context import Task
from tests.airflow.conftest import Surroundings

_NOBODY = "http://127.0.0.1:9"
_START, _END = datetime(2025, 1, 15, 10, tzinfo=UTC), 1_736_942_460.5


def test_status_times_and_step_are_the_runs(surroundings: Surroundings) -> None:
    """A run lasts from its start to its end, ends as it is told, and has figures at steps."""
    payload = {"loss": [3, 2], "accuracy": 0.5}
    experiment = surroundings.experiment
    log_with_mlflow(
        payload,
        experiment=experiment,
        status="failed",
        start_time=_START,
        end_time=_END,
        step=10,
        strict=True,
    )
    (run,) = surroundings.runs()
    assert run.info.status == "FAILED"
    assert (run.info.start_time, run.info.end_time) == (1_736_935_200_000, 1_736_942_460_500)
    client = MlflowClient(surroundings.mlflow_url)
    for name, steps in (("loss", [10, 11]), ("accuracy", [10])):
        history = client.get_metric_history(run.info.run_id, name)
        assert sorted(point.step for point in history) == steps


@pytest.mark.parametrize("is_deferred", [False, True])
def test_a_payload_is_added_to_a_run(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, is_deferred: bool
) -> None:
    """With `run_id` the run gets more, now or later, and goes on until a status ends it."""
    run_id = log_with_mlflow({"rows": 1}, experiment=surroundings.experiment, status="RUNNING")
    assert run_id
    with monkeypatch.context() as outage:
        if is_deferred:
            outage.setenv("MLFLOW_TRACKING_URI", _NOBODY)
        log_with_mlflow({"loss": 2.0}, run_id=run_id, step=1, tags={"more": "yes"})
    surroundings.flush()
    (run,) = surroundings.runs()
    assert (run.info.status, run.data.metrics) == ("RUNNING", {"rows": 1, "loss": 2})
    assert run.data.tags["more"] == "yes"
    assert log_with_mlflow({"loss": 1.0}, run_id=run_id, step=2, status="FINISHED") == run_id
    (run,) = surroundings.runs()
    assert (run.info.status, run.data.metrics["loss"]) == ("FINISHED", 1)
    history = MlflowClient(surroundings.mlflow_url).get_metric_history(run_id, "loss")
    assert sorted((point.step, point.value) for point in history) == [(1, 2), (2, 1)]
    assert surroundings.pairs()[0].logs == 3


def test_inside_a_run_it_is_a_child(surroundings: Surroundings) -> None:
    """In `mlflow.start_run()` a payload is a child of that run, beside it, and leaves it open."""
    mlflow.set_experiment(surroundings.experiment)
    with mlflow.start_run() as parent:
        child = log_with_mlflow({"rows": 1})
        mlflow.log_metric("after", 1)
    assert child
    runs = {run.info.run_id: run for run in surroundings.runs()}
    assert runs.keys() == {parent.info.run_id, child}
    assert runs[child].data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert runs[parent.info.run_id].data.metrics == {"after": 1}


@pytest.fixture
def try_number(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """The try that the task `load` is in."""
    number = Mock(return_value=1)

    def task() -> Task:
        return Task("etl", "load", "manual__1", try_number=number())

    monkeypatch.setattr(log_call, "current_task", task)
    return number


def _two_tries(surroundings: Surroundings, try_number: Mock, **options: Any) -> None:
    for number in (1, 2):
        try_number.return_value = number
        for name in ("a", "a", "b"):
            log_with_mlflow({"rows": 5}, name, surroundings.experiment, once="task", **options)


@pytest.mark.parametrize("delivery", ["now", "later"])
def test_the_tries_of_a_task_are_one_run(
    surroundings: Surroundings, try_number: Mock, delivery: str
) -> None:
    """With once="task" a task that logs three times and is tried twice has three runs, counted."""
    _two_tries(surroundings, try_number, delivery=delivery)
    surroundings.flush()
    assert sorted(str(run.info.run_name) for run in surroundings.runs()) == ["a", "a", "b"]
    (pair,) = surroundings.pairs()
    assert (pair.logs, pair.rows) == (3, 15)


def test_what_a_deferred_task_logs_when_it_goes_on_is_no_repetition(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process of the same try goes on; what each logs is one run, in both tries."""
    for number in (1, 2):
        for resumed_by in ("", "resume"):
            # Each is a process of its own.
            monkeypatch.setattr(entry, "_calls", {})
            task = Task("etl", "load", "manual__1", try_number=number, resumed_by=resumed_by)
            monkeypatch.setattr(log_call, "current_task", lambda task=task: task)
            log_with_mlflow({"rows": 1}, experiment=surroundings.experiment, once="task")
    assert len(surroundings.runs()) == 2
    assert surroundings.pairs()[0].logs == 2


def test_a_try_after_the_payload_was_sent_later_is_no_more(
    surroundings: Surroundings, try_number: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second try may come before or after the relay sent what the first one left."""
    for first_is_sent in (True, False):
        name = str(first_is_sent)
        try_number.return_value = 1
        with monkeypatch.context() as outage:
            outage.setenv("MLFLOW_TRACKING_URI", _NOBODY)
            log_with_mlflow({"rows": 5}, name, surroundings.experiment, once="task")
        if first_is_sent:
            surroundings.flush()
        try_number.return_value = 2
        assert log_with_mlflow({"rows": 5}, name, surroundings.experiment, once="task")
    surroundings.flush()
    assert len(surroundings.runs()) == 2
    assert (surroundings.pairs()[0].logs, surroundings.outbox()) == (2, [])


def test_the_tries_of_a_task_add_once(surroundings: Surroundings, try_number: Mock) -> None:
    """With once="task" what a task adds to a run is there once, and counted once."""
    run_id = log_with_mlflow({}, experiment=surroundings.experiment, status="RUNNING")
    assert run_id
    for number in (1, 2):
        try_number.return_value = number
        for loss in (3.0, 2.0):
            log_with_mlflow({"loss": loss}, run_id=run_id, once="task", step=number)
    history = MlflowClient(surroundings.mlflow_url).get_metric_history(run_id, "loss")
    assert sorted((point.step, point.value) for point in history) == [(1, 2), (1, 3)]
    assert sum(pair.logs for pair in surroundings.pairs()) == 3


def test_options_that_are_wrong_cost_themselves(surroundings: Surroundings) -> None:
    """A wrong option is left out, which the run says; with `strict` it raises."""
    wrong: dict[str, Any] = {
        "status": "DONE",
        "start_time": "yesterday",
        "end_time": -1,
        "step": 1.5,
        "once": "day",
        "run_id": 7,
    }
    log_with_mlflow({"rows": 1}, experiment=surroundings.experiment, **wrong)
    (run,) = surroundings.runs()
    for name in wrong:
        assert f"left out: {name} " in run.data.tags["flowgauge.altered"]
    for name, value in wrong.items():
        with pytest.raises(PayloadError, match=name):
            log_with_mlflow({"rows": 1}, strict=True, **{name: value})


def test_the_outbox_keeps_it_all(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent later is the run that would have been made at once."""
    log_with_mlflow(
        {"loss": [1, 2]},
        experiment=surroundings.experiment,
        delivery="later",
        status="KILLED",
        start_time=_START,
        end_time=_END,
        step=3,
    )
    assert json.loads(surroundings.outbox()[0].body)["version"] == 2
    assert surroundings.flush().sent == 1
    (run,) = surroundings.runs()
    assert (run.info.status, run.info.end_time) == ("KILLED", 1_736_942_460_500)
    assert run.data.metrics == {"loss": 2}


def test_small_files_go_with_it(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are kept with the payload, also where the task's own folder is gone when it is sent."""
    folder = surroundings.folder / "task"
    folder.mkdir()
    (folder / "a.txt").write_text("small")
    (folder / "large.bin").write_bytes(bytes(2**20))
    (folder / "empty").touch()
    paths = {
        "plots/a.txt": folder / "a.txt",
        "large": folder / "large.bin",
        "empty": folder / "empty",
        "gone": folder / "gone",
    }
    with monkeypatch.context() as outage:
        outage.setenv("MLFLOW_TRACKING_URI", _NOBODY)
        log_with_mlflow({"rows": 1}, experiment=surroundings.experiment, artifacts=paths)
    (folder / "a.txt").unlink()
    assert surroundings.flush().sent == 1
    (run,) = surroundings.runs()
    text = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/plots/a.txt")
    assert text == "small"
    said = run.data.tags["flowgauge.altered"]
    for name in ("large", "empty", "gone"):
        assert f"left out: artifacts['{name}'] is " in said


def test_files_are_named_by_themselves(surroundings: Surroundings) -> None:
    """A path alone is a file of that name; a name that leads elsewhere is refused."""
    file = surroundings.folder / "a.txt"
    file.write_text("small")
    run_id = log_with_mlflow({}, experiment=surroundings.experiment, artifacts=[file], strict=True)
    client = MlflowClient(surroundings.mlflow_url)
    assert [each.path for each in client.list_artifacts(str(run_id))] == ["a.txt"]
    for name in ("../a.txt", "/a.txt", ""):
        with pytest.raises(PayloadError, match="artifacts must have names such as"):
            log_with_mlflow({}, artifacts={name: file}, strict=True)


def test_files_on_a_disk_that_hangs_are_waited_for_together(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: then the payload goes without them, and says so."""
    over, asked = threading.Event(), []

    def hang(path: Path) -> bool:
        asked.append(path)
        return over.wait(20)

    monkeypatch.setattr(Path, "is_file", hang)
    monkeypatch.setattr(artifacts, "_PATIENCE_SECONDS", 0.1)
    left_out: list[str] = []
    try:
        assert read_artifacts([folder / str(number) for number in range(5)], left_out) == {}
    finally:
        over.set()
    assert len(asked) == 1
    assert [each.partition("] ")[2] for each in left_out] == ["could not be read within 0.1 s"] * 5
