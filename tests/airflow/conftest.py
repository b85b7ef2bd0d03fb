"""A task's surroundings: MLflow, a store of its own, and no rate limit in the way."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from flowgauge.airflow.connection import connect
from flowgauge.airflow.late_runs import LATE_RUN
from flowgauge.airflow.outbox import Flushed, flush
from flowgauge.store import OutboxEntry, open_store
from stack.mlflow import MlflowServer
from tests.counting import Pair, durations, pairs

_UNLIMITED = """\
domains:
  mlflow: mlflow.example.com
rate_limits:
  mlflow_api:
    max_calls: 1000000
    window_seconds: 1
"""


@dataclass(frozen=True)
class Surroundings:
    """What a log call finds, and what it leaves behind."""

    mlflow_url: str
    experiment: str
    folder: Path

    def runs(self) -> list[Run]:
        """Return the runs of the experiment as MLflow has them."""
        client = MlflowClient(self.mlflow_url)
        experiment = client.get_experiment_by_name(self.experiment)
        if experiment is None:
            return []
        return list(client.search_runs([experiment.experiment_id], max_results=1000))

    def outbox(self) -> list[OutboxEntry]:
        """Return the payloads that wait, and those set aside."""
        with closing(open_store(timeout_seconds=60)) as store:
            return [each for each in store.outbox.entries(1000) if each.reason != LATE_RUN]

    def pairs(self) -> list[Pair]:
        """Return what was counted."""
        with closing(open_store(timeout_seconds=60)) as store:
            return pairs(store)

    def durations(self) -> dict[str, tuple[Sequence[float], float]]:
        """Return the histogram of every DAG."""
        with closing(open_store(timeout_seconds=60)) as store:
            return durations(store)

    def failures(self) -> dict[str, float]:
        """Return the failures counted for calls outside Airflow, by reason."""
        return {reason: count for pair in self.pairs() for reason, count in pair.failures.items()}

    def flush(self, seconds: float = 20) -> Flushed:
        """Send what the outbox holds to the MLflow that is set now."""
        with closing(open_store(timeout_seconds=60)) as store:
            return flush(store, connect(), seconds=seconds)


@pytest.fixture
def surroundings(
    mlflow: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Surroundings:
    """MLflow that answers, an empty store, an experiment of the test's own."""
    environments = tmp_path / "environments"
    environments.mkdir()
    (environments / "unlimited.yaml").write_text(_UNLIMITED)
    monkeypatch.setenv("FLOWGAUGE_ENVIRONMENTS", str(environments))
    monkeypatch.setenv("ENV", "unlimited")
    monkeypatch.setenv("FLOWGAUGE_STORE", f"sqlite:///{tmp_path}/store.db")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.url)
    return Surroundings(mlflow.url, f"log {uuid4().hex}", tmp_path)
