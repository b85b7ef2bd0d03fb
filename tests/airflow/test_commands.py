"""The commands, as an operator types them."""

import json
import subprocess
import time
from datetime import UTC, datetime

import pytest
from mlflow import MlflowClient

from flowgauge.airflow import log_with_mlflow
from stack.process import python_tool
from tests.airflow.conftest import Surroundings

_NOBODY = "http://127.0.0.1:9"
_DAY_MS = 24 * 60 * 60 * 1000


def _flowgauge(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [python_tool("flowgauge"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_outbox_from_full_to_empty(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`outbox list` shows what waits, `flush` sends it, and then there is nothing left."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _NOBODY)
    log_with_mlflow({"rows": 1}, experiment=surroundings.experiment)
    (kept,) = surroundings.outbox()

    listed = _flowgauge("outbox", "list").stdout
    since = datetime.fromtimestamp(kept.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert listed.splitlines()[0].split() == [
        "ID",
        "DAG",
        "TASK",
        "SINCE",
        "ATTEMPTS",
        "SET",
        "ASIDE",
    ]
    assert listed.splitlines()[1].split() == [kept.entry_id, since, "0"]
    (entry,) = json.loads(_flowgauge("outbox", "list", "--output", "json").stdout)
    assert json.loads(entry["body"])["metrics"] == {"rows": 1.0}

    sent = _flowgauge("outbox", "flush", "--mlflow-uri", surroundings.mlflow_url)
    assert (sent.returncode, sent.stdout) == (0, "sent 1, set aside 0, still waiting 0\n")
    assert _flowgauge("outbox", "list").stdout == "the outbox is empty\n"


def test_flush_says_what_is_wrong(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush that MLflow ends exits with 1 and one sentence, after what it did achieve."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _NOBODY)
    log_with_mlflow({"rows": 1}, experiment=surroundings.experiment)
    flushed = _flowgauge("outbox", "flush", "--output", "json")
    assert flushed.returncode == 1
    assert json.loads(flushed.stdout) == {"sent": 0, "set_aside": 0, "waiting": 1}
    assert flushed.stderr.startswith("flowgauge: the flush ended early: MLflow at")
    assert flushed.stderr.count("\n") == 1


def test_store_that_is_none_is_one_sentence(surroundings: Surroundings) -> None:
    """A wrong store URL is one sentence, not a traceback."""
    listed = _flowgauge("outbox", "list", "--store", "mysql://user:s3cret@db/x")
    assert listed.returncode == 1
    assert listed.stderr.startswith("flowgauge: mysql://user:***@db/x is no store")
    assert listed.stderr.count("\n") == 1


def test_close_stale_closes_what_nobody_finishes(surroundings: Surroundings) -> None:
    """`runs close-stale` closes runs of DAGs that are RUNNING for too long, and no others."""
    client = MlflowClient(surroundings.mlflow_url)
    experiment = client.create_experiment(surroundings.experiment)
    old = int(time.time() * 1000) - 2 * _DAY_MS
    dag = {"airflow.dag_id": "killed"}
    stale = client.create_run(experiment, start_time=old, tags=dag).info.run_id
    young = client.create_run(experiment, tags=dag).info.run_id
    notebook = client.create_run(experiment, start_time=old).info.run_id
    closed = _flowgauge("runs", "close-stale", "--output", "json")
    assert closed.returncode == 0
    assert stale in json.loads(closed.stdout)["closed"]
    statuses = [client.get_run(run_id).info.status for run_id in (stale, young, notebook)]
    assert statuses == ["KILLED", "RUNNING", "RUNNING"]
    assert _flowgauge("runs", "close-stale").stdout == "runs closed: 0\n"


def test_close_stale_wants_a_time_above_zero(surroundings: Surroundings) -> None:
    """A wrong option is wrong usage: exit code 2."""
    assert _flowgauge("runs", "close-stale", "--older-than-hours", "0").returncode == 2
