"""The Airflow Variable that shows and resets a limit, with Airflow's own command line."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from flowgauge.airflow.variable_mirror import VariableMirror
from flowgauge.store import open_store
from stack.airflow import airflow_home
from stack.dag_test import run_dags
from tests.airflow.metrics_receiver import metrics_receiver
from tests.counting import rate_limit

pytestmark = pytest.mark.whole_system(seconds=40)

_DAGS = Path(__file__).parent / "dags"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_operator_sees_the_limit_and_resets_it(folder: Path) -> None:
    """`airflow variables get` shows the state, `delete` resets it; Airflow counts the hits."""
    store_url = f"sqlite:///{folder}/store.db"
    with metrics_receiver() as metrics:
        env = {
            "FLOWGAUGE_STORE": store_url,
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_ENDPOINT": metrics.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
        environ = airflow_home(folder / "airflow", _DAGS, env=env)
        run_dags(environ, _DAGS, [("limited", {})])
        assert metrics.mentions("rate_limit.mlflow_api.hits")
    shown = json.loads((folder / "airflow" / "shown.json").read_text())
    assert (shown["key"], shown["max_calls"], shown["window_calls"]) == ("mlflow_api", 1, 1)
    with closing(open_store(store_url, timeout_seconds=10)) as store:
        assert rate_limit(store, "mlflow_api").calls == 2


def test_outside_airflow_there_is_no_mirror(folder: Path) -> None:
    """A program that is no Airflow task neither writes a Variable nor takes the turn to do so."""
    store = open_store(f"sqlite:///{folder}/store.db", timeout_seconds=10)
    store.windows.acquire("api", "a", 1, 60, 0)
    assert VariableMirror("api").refresh(store) is False
    assert store.windows.take_mirror_turn("api", 60)
    store.close()
