"""What is made a link to MLflow, and what is not."""

import json
from uuid import uuid4

import pytest
from mlflow import MlflowClient

from flowgauge.airflow.run_link import web_link
from flowgauge.tracking.pages import mlflow_pages
from stack.mlflow import MlflowServer

_TAGS = {"airflow.dag_id": "etl", "airflow.run_id": "it's"}


@pytest.mark.parametrize(
    "left",
    ["", "javascript:alert(1)", "file:///etc/passwd", "https://", "//h/x", "http://h/\nx", "None"]
    + [f"mlflow-runs:{text}" for text in ("", "{}", "[1]", '{"experiments": 1, "tags": {}}')],
)
def test_what_is_no_address_of_the_web_is_no_link(left: str) -> None:
    """Whatever a DAG leaves there: nothing but http(s) becomes a link."""
    assert web_link(left) == ""
    assert web_link("https://mlflow/#/runs/1") == "https://mlflow/#/runs/1"


def test_a_promise_is_a_link_once_it_is_kept(
    mlflow: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None without the experiment, none without a run, then the run, and then the list of both."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.url)
    name = f"promised {uuid4().hex}"
    promise = "mlflow-runs:" + json.dumps({"experiments": [name], "tags": _TAGS})
    client = MlflowClient(mlflow.url)
    assert web_link(promise) == ""
    experiment_id = client.create_experiment(name)
    client.create_run(experiment_id)
    assert web_link(promise) == ""
    run = client.create_run(experiment_id, tags=_TAGS)
    assert web_link(promise) == f"{mlflow.url}/#/runs/{run.info.run_id}"
    client.create_run(experiment_id, tags=_TAGS)
    assert web_link(promise).startswith(f"{mlflow.url}/#/experiments/{experiment_id}/runs?search")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert web_link(promise) == ""


def test_a_public_address_is_the_one_people_use() -> None:
    """It replaces the tasks' own; a login in either is left out, and what is no address is none."""
    public = {"FLOWGAUGE_MLFLOW_PUBLIC_URI": "https://me:pass@mlflow.example.com/ui/"}
    (inner, outer) = (mlflow_pages("http://u:p@mlflow:5000", environ) for environ in ({}, public))
    assert inner is not None
    assert outer is not None
    assert inner.run("1") == "http://mlflow:5000/#/runs/1"
    assert outer.runs({"2", "1"}, {"a": "b"}) == (
        "https://mlflow.example.com/ui/#/compare-experiments/s?"
        "experiments=%5B%221%22%2C%222%22%5D&searchFilter=tags.%60a%60%20%3D%20%27b%27"
    )
    for address in ("sqlite:///mlflow.db", "databricks", "http://[::1"):
        assert mlflow_pages(address, {}) is None
