"""The Airflow Variable that shows and resets a limit, with Airflow's own command line."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from flowgauge.airflow.variable_mirror import VariableMirror
from flowgauge.store import open_store
from stack.airflow import airflow_home
from stack.dag_test import run_dags

_DAGS = Path(__file__).parent / "dags"


@pytest.mark.timeout(600)
def test_the_operator_sees_the_limit_and_resets_it(folder: Path) -> None:
    """`airflow variables get` shows the state, `airflow variables delete` empties the window."""
    store_url = f"sqlite:///{folder}/store.db"
    environ = airflow_home(folder / "airflow", _DAGS, env={"FLOWGAUGE_STORE": store_url})
    run_dags(environ, _DAGS, [("limited", {})])
    shown = json.loads((folder / "airflow" / "shown.json").read_text())
    assert (shown["key"], shown["max_calls"], shown["window_calls"]) == ("mlflow_api", 1, 1)
    with closing(open_store(store_url, timeout_seconds=10)) as store:
        assert store.windows()[0].calls == 2


def test_outside_airflow_there_is_no_mirror(folder: Path) -> None:
    """A program that is no Airflow task neither writes a Variable nor takes the turn to do so."""
    store = open_store(f"sqlite:///{folder}/store.db", timeout_seconds=10)
    store.acquire("api", "a", 1, 60, 0)
    assert VariableMirror("api").refresh(store) is False
    assert store.take_mirror_turn("api", 60)
    store.close()
