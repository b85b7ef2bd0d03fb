"""MLflow's own functions on best effort."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from threading import Event
from typing import Any

import mlflow
import pytest
import requests

from flowgauge.airflow import best_effort
from flowgauge.errors import UsageError
from flowgauge.metrics import DAG_BEST_EFFORT_FAILURES
from flowgauge.store import open_store
from stack.unwell import flooding_server, raw_server
from tests.airflow.conftest import Surroundings

_NOBODY = "http://127.0.0.1:9"
# A byte a second, it takes eight minutes, and no read of it longer than a second.
_ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b" " * 500


@pytest.fixture(params=["killed", "hanging", "dripping", "without DNS"])
def away(
    request: pytest.FixtureRequest, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """An MLflow that is away, in each of the ways."""
    end = Event()

    def look_up(*_: Any, **__: Any) -> Any:
        # A name server that does not answer: a machine's own cannot be taken away from it.
        end.wait()
        raise socket.gaierror

    if request.param == "killed":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", _NOBODY)
        yield
    elif request.param == "without DNS":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example.com")
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        yield
    else:
        answer = _ENDLESS if request.param == "dripping" else b""
        with raw_server(answer, pause=1) as url:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
            yield
    end.set()


@pytest.mark.usefixtures("surroundings")
def test_a_budget_of_centuries_is_one() -> None:
    """Who says so may wait for as long as anything can."""
    with best_effort(1e300):
        mlflow.search_experiments()
        return
    pytest.fail("MLflow was taken to have failed")


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_HTTP")}


def _failures() -> float:
    with closing(open_store()) as store:
        return sum(
            each.of(DAG_BEST_EFFORT_FAILURES) or 0
            for each in store.counts.totals("dag_id", "task_id")
        )


def test_the_task_goes_on_when_mlflow_is_away(
    away: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block ends within its budget, with one warning and one count, and leaves no trace.

    Without the budget it would take minutes: MLflow tries each request eight times.
    """
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
    before, send = _settings(), requests.Session.send
    with best_effort(budget_seconds=2), mlflow.start_run(experiment_id="0"):
        pytest.fail("MLflow is away")
    assert _failures() == 1
    (said,) = [record.getMessage() for record in caplog.records if record.name.startswith("flowg")]
    assert said.startswith("MLflow failed, and the task goes on without")
    assert _settings() == before
    assert requests.Session.send is send


def test_an_answer_without_end_is_not_read(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What answers with gigabytes costs the task neither its memory nor its time."""
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 6000000000\r\n\r\n"
    with flooding_server(start) as (url, sent):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        with best_effort(budget_seconds=20), mlflow.start_run(experiment_id="0"):
            pytest.fail("that is not MLflow")
    assert _failures() == 1
    # Beside what was read there is what the sockets hold.
    assert sum(sent) < 200_000_000


def test_what_mlflow_takes_is_logged(surroundings: Surroundings) -> None:
    """A decorated function works as ever while MLflow does, each call in a block of its own."""

    @best_effort()
    def train(experiment: str) -> str:
        experiment_id = mlflow.create_experiment(experiment)
        with mlflow.start_run(experiment_id=experiment_id) as run:
            mlflow.log_metric("rows", 3)
        return str(run.info.run_id)

    found = train(surroundings.experiment)
    assert [run.info.run_id for run in surroundings.runs()] == [found]
    assert train(surroundings.experiment) is None, "an experiment of that name is there"
    assert _failures() == 1


def test_errors_of_the_task_are_raised(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one of a client that MLflow uses too, and one on whose way out MLflow fails as well."""
    with pytest.raises(requests.ConnectionError), best_effort():
        requests.get(_NOBODY, timeout=5)

    @best_effort(budget_seconds=2)
    def train() -> None:
        with mlflow.start_run(experiment_id="0"):
            monkeypatch.setenv("MLFLOW_TRACKING_URI", _NOBODY)
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        train()
    assert _failures() == 0


def test_a_handled_error_before_mlflow_fails_is_the_tasks_business(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow that fails while the task handles an error of its own is MLflow's failure."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _NOBODY)
    with best_effort(budget_seconds=2):
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            mlflow.start_run(experiment_id="0")
    assert _failures() == 1


def test_it_says_how_it_is_used() -> None:
    """A decorator without brackets, a budget of nothing and an async function are refused."""

    async def train() -> None:
        """Do nothing."""

    with pytest.raises(UsageError, match="write @best_effort"):
        best_effort(train)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="write @best_effort"):
        best_effort(0)
    with pytest.raises(UsageError, match="async function train"):
        best_effort()(train)
