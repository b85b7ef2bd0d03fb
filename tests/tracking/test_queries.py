"""The questions that several parts ask MLflow."""

import json
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from itertools import count

import pytest

from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import TrackingNotMlflowError
from flowgauge.tracking.queries import Queries
from stack.http_server import serving
from stack.mlflow import MlflowServer
from stack.unwell import canned_server
from tests.airflow.faulty_mlflow import answering, respond

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


@pytest.mark.parametrize(
    "answer",
    [
        '{"experiments": 1, "runs": 1}',
        '{"experiments": [], "runs": [], "next_page_token": "again"}',
        '{"experiments": [], "runs": [], "next_page_token": [1]}',
    ],
)
def test_an_answer_that_is_no_list_or_has_no_end_is_not_mlflows(answer: str) -> None:
    """One sentence says so, however often the server would go on."""
    with answering(200, answer) as (url, asked), TrackingClient(url, environ={}) as client:
        for search in (Queries(client).experiments, lambda: Queries(client).runs(["1"], "")):
            with pytest.raises(TrackingNotMlflowError, match=r"no list in what it says to \w+/sea"):
                search()
        assert len(asked) <= 4


@pytest.mark.parametrize("workspaces", ["1", "[1]", "[null]", "[{}]", '["a"]'])
def test_workspaces_without_names_are_not_mlflows(workspaces: str) -> None:
    """One sentence says so, for the probe too, which asks for them where it is refused."""
    answer = f'{{"workspaces_enabled": true, "workspaces": {workspaces}}}'
    with (
        answering(200, answer) as (url, _),
        TrackingClient(url, environ={}) as client,
        pytest.raises(TrackingNotMlflowError, match="no list in what it says to workspaces"),
    ):
        Queries(client).workspaces()


def test_a_list_of_empty_pages_has_an_end() -> None:
    """Each leads to another one: a server that filters may say a few such, MLflow no hundred."""
    numbers = count()

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            respond(self, 200, b'{"experiments": [], "next_page_token": "%d"}' % next(numbers))

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with (
        serving(Endless) as url,
        TrackingClient(url, environ={}) as client,
        pytest.raises(TrackingNotMlflowError, match="no list"),
    ):
        Queries(client).experiments()
    assert next(numbers) > 50


def test_what_is_no_run_and_no_experiment_is_left_out() -> None:
    """Whatever else a list holds, what is right of it is found."""
    times = {"start_time": "x", "end_time": 10**400}
    info = {"run_id": "1", "experiment_id": "2", "status": "RUNNING", **times}
    wrong: list[object] = [
        1,
        None,
        [],
        {},
        {"info": 1},
        {"info": {"run_id": 1}},
        {"experiment_id": []},
    ]
    run = {"info": info, "data": {"tags": [1, {"key": 1}, {"key": "k", "value": "v"}]}}
    experiment = {"experiment_id": "2", "name": "e", "last_update_time": 1e400}
    answer = json.dumps({"experiments": [*wrong, experiment], "runs": [*wrong, run]})
    with answering(200, answer) as (url, _), TrackingClient(url, environ={}) as client:
        [found] = Queries(client).runs(["2"], "").items
        assert found["info"] == {**info, **dict.fromkeys(times)}
        assert found["data"]["tags"] == [{"key": "k", "value": "v"}]
        assert [each["name"] for each in Queries(client).experiments().items] == ["e"]
