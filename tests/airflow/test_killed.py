"""The promise of the log call, put to the test: the task is killed."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stack.faults.dying import dying
from stack.faults.kills import kill_calls, settle_all
from stack.postgres import postgres
from stack.redis import redis_server
from tests.airflow.conftest import Surroundings

pytestmark = [pytest.mark.whole_system(seconds=30), pytest.mark.timeout(600)]

# More than all take that are killed here: `make faults` kills other calls too, and at each line.
_CALL_SECONDS = 120.0


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
