"""One run each, whatever the order; and what is said of a failure is true."""

import json
import subprocess
import sys
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from threading import Event

import httpx
import pytest
from mlflow import MlflowClient

from flowgauge.airflow import connection, log_with_mlflow
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.outbox import flush
from flowgauge.airflow.spool import spool
from flowgauge.store import Store, open_store
from flowgauge.store.outbox import Lease
from flowgauge.store.sqlite import SqliteEngine
from stack.process import wait_for
from tests.airflow.conftest import Surroundings
from tests.airflow.faulty_mlflow import (
    answering,
    faulty_mlflow,
    losing_answers,
    respond,
    withholding,
)

_NOBODY = "http://127.0.0.1:9"
_LONG = {"metrics": {f"m{number}": number for number in range(2000)}}
# As MLflow 3.17 says it on a PostgreSQL that is being failed over.
_READ_ONLY = (
    "(psycopg2.errors.ReadOnlySqlTransaction) cannot execute INSERT in a read-only transaction\n"
    "[SQL: INSERT INTO runs ...]\n(Background on this error at: https://sqlalche.me/e/20/2j85)"
)


def _defer(surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with monkeypatch.context() as outage:
        outage.setenv("MLFLOW_TRACKING_URI", url)
        assert log_with_mlflow({"rows": 7}, experiment=surroundings.experiment) is None


def _finds_nothing(handler: BaseHTTPRequestHandler, _: httpx.Response) -> bool:
    respond(handler, 200, b"{}")
    return True


@pytest.mark.parametrize("lost", [None, "runs/log-batch", "runs/update"])
def test_a_search_that_lags_behind_makes_no_second_run(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, lost: str | None
) -> None:
    """A run is known by the id it got when it was made, also if no search shows it."""
    if lost:
        with losing_answers(surroundings.mlflow_url, lost) as url:
            _defer(surroundings, monkeypatch, url)
    else:
        _defer(surroundings, monkeypatch, _NOBODY)
    with faulty_mlflow(surroundings.mlflow_url, "runs/search", _finds_nothing) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        assert surroundings.flush().sent == 1
    (run,) = surroundings.runs()
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"rows": 7})


def test_a_renamed_experiment_makes_no_second_run(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that an earlier attempt made in an experiment called so then is the one completed."""
    client = MlflowClient(surroundings.mlflow_url)
    with losing_answers(surroundings.mlflow_url, "runs/create") as url:
        _defer(surroundings, monkeypatch, url)
    experiment = client.get_experiment_by_name(surroundings.experiment)
    assert experiment
    client.rename_experiment(experiment.experiment_id, f"new {surroundings.experiment}")
    assert surroundings.flush().sent == 1
    assert surroundings.runs() == []
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"rows": 7})


def test_a_run_that_is_unknown_is_looked_for(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the run that an attempt is said to have begun is unknown, the payload is looked for."""
    with losing_answers(surroundings.mlflow_url, "runs/log-batch") as url:
        _defer(surroundings, monkeypatch, url)
    (kept,) = surroundings.outbox()
    assert kept.reason
    begun = kept.reason.split()[2].rstrip(",")
    with closing(open_store()) as store:
        store.outbox.claim(Lease("test", 60), 1)
        store.outbox.release(kept.entry_id, "test", kept.reason.replace(begun, "f" * 32))
    assert surroundings.flush().sent == 1
    assert [run.info.run_id for run in surroundings.runs()] == [begun]


def test_a_long_payload_goes_on_where_it_stopped(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes longer than a flush is no failure: the next one sends the rest, and only that."""
    with monkeypatch.context() as outage:
        outage.setenv("MLFLOW_TRACKING_URI", _NOBODY)
        log_with_mlflow(_LONG, experiment=surroundings.experiment)
    over = Event()
    batches: list[int] = []

    def stall(handler: BaseHTTPRequestHandler, _: httpx.Response) -> bool:
        batches.append(1)
        if len(batches) > 1:
            over.wait(60)
        return False

    with faulty_mlflow(surroundings.mlflow_url, "runs/log-batch", stall) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        flushed = surroundings.flush(seconds=8)
        wait_for(lambda: len(batches) == 2, "MLflow has the second batch too")
        over.set()
        assert (flushed.sent, flushed.problem) == (0, None)
        (kept,) = surroundings.outbox()
        assert str(kept.reason).endswith(", 1 batches sent)")
        assert surroundings.failures() == {"unreachable": 1}
        del batches[:]
        monkeypatch.setattr(over, "wait", lambda _: True)
        assert surroundings.flush().sent == 1
    assert len(batches) == 2
    (run,) = surroundings.runs()
    assert len(run.data.metrics) == 2000


@pytest.mark.parametrize(
    ("status", "content", "headers"),
    [
        (200, "<html><form>Password <input type='password'></form></html>", {}),
        (302, "", {"Location": "https://login.example.com/"}),
        (200, "<html>Welcome</html>", {"Content-Type": "text/html"}),
        (200, "", {}),
        (200, "{}", {}),
        (200, '{"experiment": 3}', {}),
        (200, "[1]", {}),
        (200, "\x00\x01garbage", {}),
        (404, "<html>not found</html>", {}),
    ],
)
def test_what_is_not_mlflow_is_called_so(
    surroundings: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    content: str,
    headers: dict[str, str],
) -> None:
    """A login page, a redirect, HTML and garbage are named, and the payload is kept."""
    with answering(status, content, headers) as (url, _):
        _defer(surroundings, monkeypatch, url)
    assert surroundings.failures() == {"not_mlflow": 1}
    assert surroundings.flush().sent == 1


def test_who_asks_to_be_left_alone_is(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a 429 with Retry-After nobody in this process asks that MLflow before its time."""
    connection._connection.cache_clear()
    with answering(429, "", {"Retry-After": "600"}) as (url, asked):
        _defer(surroundings, monkeypatch, url)
        assert len(asked) == 1
        _defer(surroundings, monkeypatch, url)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        assert "asked to be left alone for" in str(surroundings.flush().problem)
        assert len(asked) == 1
    assert surroundings.failures() == {"unavailable": 3}


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "BAD_REQUEST", _READ_ONLY),
        (404, "ENDPOINT_NOT_FOUND", "No such endpoint"),
        (501, "NOT_IMPLEMENTED", "Not here"),
    ],
)
def test_what_is_not_for_the_content_is_sent_again(
    surroundings: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    message: str,
) -> None:
    """A database that is read-only for a minute, or a wrong server, sets nothing aside."""
    _defer(surroundings, monkeypatch, _NOBODY)
    refusal = json.dumps({"error_code": code, "message": message})
    with answering(status, refusal) as (url, _), monkeypatch.context() as fault:
        fault.setenv("MLFLOW_TRACKING_URI", url)
        flushed = surroundings.flush()
        assert (flushed.sent, flushed.set_aside) == (0, 0)
        assert flushed.problem
    assert surroundings.flush().sent == 1


def test_refusals_alike_end_a_flush_and_are_sent_again(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three payloads refused alike, one after the other, none is to blame or set aside."""
    client = MlflowClient(surroundings.mlflow_url)
    experiment = client.create_experiment(surroundings.experiment)
    client.delete_experiment(experiment)
    for _ in range(4):
        _defer(surroundings, monkeypatch, _NOBODY)
    flushed = surroundings.flush()
    assert (flushed.sent, flushed.set_aside) == (0, 0)
    assert "MLflow refused 3 payloads alike" in str(flushed.problem)
    assert [entry.poison for entry in surroundings.outbox()] == [None] * 4
    client.restore_experiment(experiment)
    assert surroundings.flush().sent == 4
    assert len(surroundings.runs()) == 4


def test_a_file_beside_an_entry_that_arrived_counts_nothing(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store took a payload after it seemed not to, so it was spooled too: it is one log."""
    _defer(surroundings, monkeypatch, _NOBODY)
    (kept,) = surroundings.outbox()
    assert surroundings.flush().sent == 1
    spool(Entry.from_json(kept.body), 0.1, "unreachable")
    assert surroundings.flush().sent == 1
    assert len(surroundings.runs()) == 1
    (pair,) = surroundings.pairs()
    assert (pair.logs, pair.rows) == (1, 7)


def _flush_minutes_later(surroundings: Surroundings, minutes: int, url: str | None = None) -> None:
    """Send what the outbox holds by then."""
    store_url = f"sqlite:///{surroundings.folder}/store.db"
    engine = SqliteEngine(store_url, timeout_seconds=5, clock=lambda: time.time() + 61 * minutes)
    with closing(Store(engine)) as store:
        assert flush(store, connection.connect(url), seconds=20).problem is None


def test_a_run_that_comes_late_goes_again(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request for a run that was given up, and arrives once its payload has one, leaves none."""
    with withholding(surroundings.mlflow_url, "runs/create") as (url, withheld):
        _defer(surroundings, monkeypatch, url)
        assert surroundings.flush().sent == 1
        withheld[0]()
    assert len(surroundings.runs()) == 2
    _flush_minutes_later(surroundings, 1)
    (run,) = surroundings.runs()
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"rows": 7})
    assert (surroundings.pairs()[0].logs, surroundings.failures()) == (1, {"unreachable": 1})


def test_a_search_that_lags_doubles_no_killed_call(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run of a call that was killed may be found late: then it is one again, counted once."""
    program = (
        "import os\n"
        "from flowgauge.airflow import log_with_mlflow, sending\n"
        "sending.push_run_link = lambda *_: os.kill(os.getpid(), 9)\n"
        "sending.tell_store = lambda *_: None\n"
        f"log_with_mlflow({{'rows': 7}}, experiment={surroundings.experiment!r})\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert len(surroundings.runs()) == 1
    with faulty_mlflow(surroundings.mlflow_url, "runs/search", _finds_nothing) as url:
        _flush_minutes_later(surroundings, 1, url)
    assert len(surroundings.runs()) == 2
    _flush_minutes_later(surroundings, 2)
    assert len(surroundings.runs()) == 1
    assert (surroundings.pairs()[0].logs, surroundings.failures()) == (1, {"killed": 1})
