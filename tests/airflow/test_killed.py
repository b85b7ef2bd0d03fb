"""The promise of the log call, put to the test: the task is killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stack.faults.kills import kill_log_calls, settle_all
from stack.postgres import postgres
from stack.redis import redis_server
from tests.airflow.conftest import Surroundings

pytestmark = [pytest.mark.whole_system(seconds=100), pytest.mark.timeout(600)]

_NOBODY = "http://127.0.0.1:9"
# Of 1,500 lines; `make faults` takes each, and each store both ways.
_STEP = 53


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
    ("store", "mlflow_is_up"), [("sqlite", True), ("redis", False), ("postgresql", True)]
)
def test_a_killed_log_call_loses_and_doubles_nothing(
    surroundings: Surroundings, store: str, mlflow_is_up: bool
) -> None:
    """Killed once its payload is written down, a call is one finished run, and counted so."""
    uri = surroundings.mlflow_url if mlflow_is_up else _NOBODY
    with _store(store, surroundings.folder) as store_url:
        environ = {"FLOWGAUGE_STORE": store_url, "MLFLOW_TRACKING_URI": uri}
        calls = kill_log_calls(surroundings.experiment, step=_STEP, environ=environ)
        aftermath = settle_all(
            surroundings.experiment, calls, mlflow_url=surroundings.mlflow_url, store_url=store_url
        )
    # Before it is written down it is only read; enough are killed afterwards.
    assert len(calls) - len(aftermath.early) > 10
    assert (aftermath.lost, aftermath.doubled, aftermath.unfinished) == ([], [], 0)
    assert aftermath.logs == len(calls) - len(aftermath.early)
    killed = aftermath.failures["killed"]
    assert 0 < killed <= aftermath.deferred <= sum(aftermath.failures.values())
