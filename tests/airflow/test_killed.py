"""The promise of the log call, put to the test: the task is killed, or interrupted."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from flowgauge.airflow import log_with_mlflow, shared_store
from flowgauge.airflow.attempt import SENDING
from flowgauge.background import in_background
from flowgauge.store import NewEntry, open_store
from flowgauge.store.outbox import Outbox
from stack.faults.dying import dying
from stack.faults.kills import Killed, kill_calls, settle_all
from stack.postgres import postgres
from stack.redis import redis_server
from tests.airflow.conftest import Surroundings
from tests.interruption import interrupt

pytestmark = [pytest.mark.whole_system(seconds=30), pytest.mark.timeout(600)]

# More than all take that are killed here: `make faults` kills other calls too, and at each line.
_CALL_SECONDS = 120.0
_INTERRUPTIONS = 30
_LONGEST_SECONDS = 60


@contextmanager
def _store(kind: str, folder: Path) -> Iterator[str]:
    """An empty store of that kind."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/store.db"
    elif kind == "redis":
        with redis_server(folder / "redis") as url:
            yield url
    else:
        with postgres(folder / "postgres") as server:
            yield server.url


@pytest.mark.parametrize(
    ("store", "state", "places", "step"),
    [
        ("sqlite", "dying", "lines", 43),
        ("redis", "up", "system calls", 3),
        ("postgresql", "up", "lines", 33),
    ],
)
def test_a_killed_log_call_loses_and_doubles_nothing(
    surroundings: Surroundings, store: str, state: str, places: str, step: int
) -> None:
    """Killed once its payload is written down, a call is one finished run, and counted so."""
    with _store(store, surroundings.folder) as store_url, ExitStack() as parts:
        port = urlsplit(surroundings.mlflow_url).port
        assert port
        uris = [surroundings.mlflow_url] if state == "up" else parts.enter_context(dying(port))
        killed = kill_calls(
            surroundings.experiment,
            call="now",
            places=places,
            step=step,
            seconds=_CALL_SECONDS,
            environ={"FLOWGAUGE_STORE": store_url, "MLFLOW_TRACKING_URI": " ".join(uris)},
        )
        aftermath = settle_all(killed, mlflow_url=surroundings.mlflow_url, store_url=store_url)
    assert aftermath.early
    assert (aftermath.lost, aftermath.doubled, aftermath.unfinished) == ([], [], 0)
    assert aftermath.miscounted == []
    assert 5 < killed.sending < aftermath.arrived


@pytest.mark.parametrize("store", ["sqlite", "redis", "postgresql"])
def test_an_interrupted_log_call_loses_and_doubles_nothing(
    surroundings: Surroundings, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by `execution_timeout`; what a callback of the task logs after it is logged at once."""
    wrote: dict[int, bool] = {}
    put = Outbox.put

    def noticed(self: Outbox, entry: NewEntry, *arguments: Any, **options: Any) -> None:
        put(self, entry, *arguments, **options)
        wrote[int(json.loads(entry.body)["params"]["call"])] = True

    numbers = count()

    def log() -> str | None:
        number = next(numbers)
        wrote[number] = False
        payload = {"rows": 1, "params": {"call": str(number)}}
        experiment = surroundings.experiment
        return log_with_mlflow(payload, experiment=experiment, budget_seconds=_CALL_SECONDS)

    # A machine that is busy is not what is tried.
    monkeypatch.setattr(shared_store, "_store", cache(partial(open_store, timeout_seconds=30)))
    with _store(store, surroundings.folder) as store_url:
        monkeypatch.setenv("FLOWGAUGE_STORE", store_url)
        with monkeypatch.context() as patched:
            patched.setattr(Outbox, "put", noticed)
            assert log()
            places, _ = interrupt(log, sys.maxsize)
            for place in range(1, places, places // _INTERRUPTIONS):
                # Airflow keeps it for the task's callbacks, and with it all that was under way.
                _, _kept = interrupt(log, place)
                assert log()
                # What its own thread has locked it may lock again.
                assert in_background(log, "elsewhere").result(_LONGEST_SECONDS)
        with closing(open_store(timeout_seconds=30)) as opened:
            notes = [each.reason for each in opened.outbox.each_entry(1000)]
        interrupted = Killed(
            *(surroundings.experiment, _CALL_SECONDS, wrote, _INTERRUPTIONS),
            deferred=len(notes),
            sending=notes.count(SENDING),
        )
        aftermath = settle_all(interrupted, mlflow_url=surroundings.mlflow_url, store_url=store_url)
    assert aftermath.early
    assert (aftermath.lost, aftermath.doubled, aftermath.unfinished) == ([], [], 0)
    assert aftermath.miscounted == []
    assert 5 < interrupted.sending < aftermath.arrived
