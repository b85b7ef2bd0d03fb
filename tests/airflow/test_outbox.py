import json
import math
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from itertools import product
from signal import SIGINT, default_int_handler, pthread_kill, signal
from threading import Event, main_thread
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient

from flowgauge.airflow import log_with_mlflow
from flowgauge.airflow.entry import Entry
from flowgauge.store import NewEntry, StoreUnavailableError, open_store
from flowgauge.store.outbox import Outbox
from tests.airflow.conftest import Surroundings
from tests.airflow.faulty_mlflow import faulty_mlflow, losing_answers

_NOBODY = "http://127.0.0.1:9"


def _defer(
    surroundings: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    experiment: str | None = None,
) -> None:
    """Log *count* payloads while MLflow is down, then let it come back."""
    with monkeypatch.context() as outage:
        outage.setenv("MLFLOW_TRACKING_URI", _NOBODY)
        for number in range(count):
            payload = {"metrics": {"number": number}}
            log_with_mlflow(payload, str(number), experiment or surroundings.experiment)


@pytest.mark.parametrize("endpoint", ["runs/create", "runs/log-batch", "runs/update"])
def test_lost_answer_makes_no_second_run(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    """MLflow did its part but the answer got lost: the payload is one finished run in the end."""
    with losing_answers(surroundings.mlflow_url, endpoint) as url, monkeypatch.context() as fault:
        fault.setenv("MLFLOW_TRACKING_URI", url)
        # A NaN is no equal of itself, which MLflow before 3.16 minds when it comes again.
        payload = {"rows": 7, "metrics": {"no_data": math.nan}}
        assert log_with_mlflow(payload, experiment=surroundings.experiment) is None
        surroundings.flush()
    surroundings.flush()
    assert surroundings.outbox() == []
    (run,) = surroundings.runs()
    assert run.info.status == "FINISHED"
    assert run.data.metrics["rows"] == 7
    assert math.isnan(run.data.metrics["no_data"])


def test_a_call_for_later_that_the_store_did_not_answer_makes_no_second_run(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store took the payload all the same, and a relay has sent it before the call does."""
    put = Outbox.put
    others: list[Any] = []

    def lose_the_answer(self: Outbox, entry: NewEntry, *arguments: Any, **options: Any) -> None:
        put(self, entry, *arguments, **options)
        if not others:
            others.append(surroundings.flush())
            raise StoreUnavailableError("the store does not answer in time")

    monkeypatch.setattr(Outbox, "put", lose_the_answer)
    run_id = log_with_mlflow({"rows": 7}, experiment=surroundings.experiment, delivery="later")
    assert others[0].sent == 1
    assert [(run.info.run_id, run.info.status) for run in surroundings.runs()] == [
        (run_id, "FINISHED")
    ]
    assert surroundings.outbox() == []
    assert [(pair.logs, pair.deferred, pair.rows) for pair in surroundings.pairs()] == [(1, 1, 7)]


def test_run_made_late_is_taken_back(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs of one payload, one from a request given up long ago, become one."""
    _defer(surroundings, monkeypatch, 1)
    (kept,) = surroundings.outbox()
    client = MlflowClient(surroundings.mlflow_url)
    experiment = client.create_experiment(surroundings.experiment)
    for _ in range(2):
        client.create_run(experiment, tags={"flowgauge.log_id": kept.entry_id})
    assert surroundings.flush().sent == 1
    (run,) = surroundings.runs()
    assert run.info.status == "FINISHED"


def test_what_is_interrupted_is_anybodys_again(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while MLflow makes the run: another need not wait, and makes no second one."""
    _defer(surroundings, monkeypatch, 1)
    ended = Event()
    # Whoever is started in the background by a shell is deaf to it.
    before = signal(SIGINT, default_int_handler)

    def interrupt(_: BaseHTTPRequestHandler, __: httpx.Response) -> bool:
        pthread_kill(main_thread().ident or 0, SIGINT)
        return ended.wait(60)

    with faulty_mlflow(surroundings.mlflow_url, "runs/create", interrupt) as url:
        with monkeypatch.context() as fault:
            fault.setenv("MLFLOW_TRACKING_URI", url)
            try:
                with pytest.raises(KeyboardInterrupt):
                    surroundings.flush()
            finally:
                signal(SIGINT, before)
        ended.set()
    (kept,) = surroundings.outbox()
    assert kept.reason == "killed (a run may come late)"
    assert surroundings.flush().sent == 1
    assert [run.info.status for run in surroundings.runs()] == ["FINISHED"]
    assert surroundings.pairs()[0].failures == {"unreachable": 1}


def test_oldest_goes_first(surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log call sends a few of those that wait, no more than five, in the order they came."""
    _defer(surroundings, monkeypatch, 7)
    assert log_with_mlflow({"rows": 1}, "now", surroundings.experiment)
    arrived = {run.info.run_name for run in surroundings.runs()}
    waiting = [Entry.from_json(entry.body).run_name for entry in surroundings.outbox()]
    assert 2 <= len(waiting) < 7
    assert waiting == [str(number) for number in range(7 - len(waiting), 7)]
    assert arrived == {"now", *(str(number) for number in range(7 - len(waiting)))}


def test_refused_payload_is_set_aside(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What MLflow refuses for good is kept with MLflow's reason and holds up nothing else."""
    client = MlflowClient(surroundings.mlflow_url)
    deleted = f"deleted {surroundings.experiment}"
    client.delete_experiment(client.create_experiment(deleted))
    _defer(surroundings, monkeypatch, 1, experiment=deleted)
    _defer(surroundings, monkeypatch, 2)
    flushed = surroundings.flush()
    assert (flushed.sent, flushed.set_aside, flushed.problem) == (2, 1, None)
    (kept,) = surroundings.outbox()
    assert kept.poison
    assert "must be in the 'active' state" in kept.poison
    assert surroundings.failures() == {"unreachable": 3, "rejected": 1}
    assert surroundings.flush().set_aside == 0


def test_unreadable_entry_is_set_aside(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry of another version, or no entry at all, holds up nothing else."""
    _defer(surroundings, monkeypatch, 1)
    readable = Entry.from_json(surroundings.outbox()[0].body)
    with closing(open_store()) as store:
        for name, body in (("newer", '{"version": 99}'), ("list", "[]"), ("broken", "{")):
            store.outbox.put(NewEntry(name, readable.dag_id, readable.task_id, body))
    flushed = surroundings.flush()
    assert (flushed.sent, flushed.set_aside) == (1, 3)


def test_flush_ends_while_mlflow_is_down(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failure ends a flush, says why, and leaves everything for the next."""
    _defer(surroundings, monkeypatch, 3)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _NOBODY)
    flushed = surroundings.flush()
    assert "refuses the connection" in str(flushed.problem)
    assert sum(entry.attempts for entry in surroundings.outbox()) == 3 + 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", surroundings.mlflow_url)
    assert surroundings.flush().sent == 3


def test_flushing_at_once_sends_each_once(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several that flush at the same time share the work, and no payload is sent twice."""
    _defer(surroundings, monkeypatch, 24)
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda _: surroundings.flush().sent, range(4)))
    assert sum(sent) == 24
    numbers = sorted(run.data.metrics["number"] for run in surroundings.runs())
    assert numbers == list(range(24))
    (pair,) = surroundings.pairs()
    assert (pair.logs, pair.deferred) == (24, 24)


def test_experiment_made_anew_is_found_again(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that remembers an experiment's id recovers when that id is no longer there."""
    client = MlflowClient(surroundings.mlflow_url)
    log_with_mlflow({"rows": 1}, experiment=surroundings.experiment)
    old = client.get_experiment_by_name(surroundings.experiment)
    assert old
    client.rename_experiment(old.experiment_id, f"was {surroundings.experiment}")
    client.delete_experiment(old.experiment_id)
    assert log_with_mlflow({"rows": 2}, experiment=surroundings.experiment) is None
    assert surroundings.flush().sent == 1
    (run,) = surroundings.runs()
    assert run.data.metrics == {"rows": 2}


_NO_TEXTS: list[object] = [None, 1, [], {}]
_NO_INTEGERS: list[object] = ["1", None, 1.5, True]
_WRONG: list[dict[str, object]] = [
    *({name: wrong} for name, wrong in product(("dag_id", "log_id"), _NO_TEXTS)),
    *({name: wrong} for name, wrong in product(("rows", "step"), _NO_INTEGERS)),
    {"log_id": "x' OR tags.a = 'b"},
    {"log_id": "x" * 10_000},
    {"logged_ms": 10**400},
    {"metrics": [1]},
    {"metrics": {"a": "1"}},
    {"metrics": {"a": [None, []]}},
    {"metrics": {"a": 10**400}},
    {"params": {"a": 1}},
    {"tags": "x"},
    {"status": []},
    {"artifacts": {"a": "no base64"}},
    {"artifacts": []},
    {"start_ms": "now"},
    {"unknown": 1},
    {"version": 3},
]


def test_a_tampered_entry_stops_no_other(surroundings: Surroundings) -> None:
    """Whatever somebody wrote into the store, it is set aside, and what is right is sent."""
    good = Entry("etl", "load", 1, surroundings.experiment, "good", {"rows": 1.0}, {}, {}, "good")
    body = json.loads(good.to_json())
    bodies = [
        "[" * 100_000,
        "no JSON",
        "[]",
        "{}",
        '"\\ud800"',
        *(json.dumps(body | wrong) for wrong in _WRONG),
    ]
    with closing(open_store()) as store:
        for number, text in enumerate(bodies):
            store.outbox.put(NewEntry(f"tampered {number}", "etl", "load", text))
        store.outbox.put(good.to_keep(None))
        with sqlite3.connect(surroundings.folder / "store.db") as db:
            db.execute("UPDATE outbox SET body = x'ff00' WHERE entry_id = 'tampered 0'")
            db.execute("UPDATE outbox SET created = 'x' WHERE entry_id = 'tampered 1'")
            db.execute(
                "UPDATE outbox SET dag_id = x'ff', attempts = 'x' WHERE entry_id = 'tampered 2'"
            )
            db.execute("UPDATE outbox SET lapsed = 'no JSON' WHERE entry_id = 'tampered 3'")
    flushed = surroundings.flush()
    assert (flushed.sent, flushed.problem) == (1, None)
    assert flushed.set_aside == len(bodies)
    assert {run.info.run_name for run in surroundings.runs()} == {"good"}
    assert all(entry.poison for entry in surroundings.outbox())
