"""The questions that several parts ask MLflow."""

import uuid
from collections.abc import Iterator

import pytest

from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import TrackingNotMlflowError
from flowgauge.tracking.queries import Queries
from stack.mlflow import MlflowServer
from stack.unwell import canned_server

_TAG = {"key": "team", "value": "churn"}


@pytest.fixture
def client(mlflow: MlflowServer) -> Iterator[TrackingClient]:
    """A client of the shared MLflow."""
    with TrackingClient(mlflow.url, environ={}) as connected:
        yield connected


def test_runs_come_newest_first_and_to_the_limit(client: TrackingClient) -> None:
    """Pages are joined; a search that stops at the limit says that there is more."""
    new = {"name": uuid.uuid4().hex}
    experiment = client.call("POST", "experiments/create", new)["experiment_id"]
    for start in range(5):
        client.call("POST", "runs/create", {"experiment_id": experiment, "start_time": start})
    whole = Queries(client, page=2).runs([experiment], "")
    assert [run["info"]["start_time"] for run in whole.items] == [4, 3, 2, 1, 0]
    assert not whole.limited
    limited = Queries(client, page=2, limit=4).runs([experiment], "")
    assert [run["info"]["start_time"] for run in limited.items] == [4, 3, 2, 1]
    assert limited.limited


def test_pages_that_would_be_too_long_are_made_shorter(
    client: TrackingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs with much in them are read a few at a time; nothing of them is missing but figures."""
    new = {"name": uuid.uuid4().hex}
    experiment = client.call("POST", "experiments/create", new)["experiment_id"]
    for start in range(12):
        run = {"experiment_id": experiment, "start_time": start, "tags": [_TAG]}
        run_id = client.call("POST", "runs/create", run)["run"]["info"]["run_id"]
        params = [{"key": f"{number}", "value": "x" * 100} for number in range(20)]
        client.call("POST", "runs/log-batch", {"run_id": run_id, "params": params})
    monkeypatch.setattr("flowgauge.http_client.LONGEST_ANSWER", 5 * 4000)
    found = Queries(client).runs([experiment], "")
    assert [run["info"]["start_time"] for run in found.items] == [*reversed(range(12))]
    assert all(_TAG in run["data"]["tags"] for run in found.items)
    assert not any("params" in run["data"] for run in found.items)


def test_the_experiments_of_all_pages_are_found(client: TrackingClient) -> None:
    """However small a page, every active experiment is in the list."""
    names = {uuid.uuid4().hex for _ in range(3)}
    for name in names:
        client.call("POST", "experiments/create", {"name": name})
    found = Queries(client, page=1).experiments()
    assert names <= {experiment["name"] for experiment in found.items}


@pytest.mark.parametrize("said", ["<html>Sign in</html>", "", "three", "3.17.2\nand more"])
def test_a_version_is_a_version(said: str) -> None:
    """A page for people in the version's place is not taken for one."""
    with canned_server() as server, TrackingClient(server.url, environ={}) as client:
        server.body = said
        with pytest.raises(TrackingNotMlflowError, match="is no version"):
            Queries(client).version()
