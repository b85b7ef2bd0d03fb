"""flowgauge wherever DAG code runs, on the Airflow of AIRFLOW_PYTHON (by default, this one)."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow import MlflowClient

from stack.mlflow import MlflowServer
from tests.airflow_versions.conftest import PUBLIC_URI, Scheduled, Visits

# The first test waits for two runs of the DAG, which Airflow 2 goes through task by task.
pytestmark = [pytest.mark.timeout(900), pytest.mark.whole_system(seconds=70)]

# By place, the task that a log from there belongs to, and its map index.
_PLACES = {
    "task": ("in_task", None),
    "mapped 0": ("mapped", "0"),
    "mapped 1": ("mapped", "1"),
    "program": ("program", None),
    "mapped program 0": ("mapped_program", "0"),
    "mapped program 1": ("mapped_program", "1"),
    "external python": ("external_python", None),
    "success callback": ("in_task", None),
    "failure callback": ("fails", None),
    "listener": ("listened_to", None),
    "kept": ("keeps", None),
    "elsewhere 0": ("elsewhere", "0"),
}


@pytest.fixture
def visits(scheduled: Scheduled) -> Visits:
    """What the DAG left."""
    return scheduled.visits


def _by_place(visits: Visits) -> Mapping[str, Mapping[str, str]]:
    return {run.data.params["place"]: run.data.tags for run in visits.runs}


def _airflow_tags(tags: Mapping[str, str], prefix: str = "") -> dict[str, str]:
    start = f"{prefix}airflow."
    return {name.removeprefix(start): tag for name, tag in tags.items() if name.startswith(start)}


def test_the_log_call_knows_its_task_everywhere(visits: Visits) -> None:
    """A payload logged from any place becomes a run with the tags of the task it belongs to."""
    by_place = _by_place(visits)
    for place, (task_id, map_index) in _PLACES.items():
        expected = {"dag_id": "places", "task_id": task_id, "run_id": "loud", "try_number": "1"}
        expected |= {"map_index": map_index} if map_index else {}
        assert (place, _airflow_tags(by_place[place])) == (place, expected)


def test_mlflows_own_functions_know_their_task_everywhere(visits: Visits) -> None:
    """What MLflow adds to any run as a tag is the same as what the log call adds."""
    for place, tags in _by_place(visits).items():
        assert (place, _airflow_tags(tags, "provider.")) == (place, _airflow_tags(tags))


def test_requests_name_their_task_everywhere(visits: Visits) -> None:
    """What MLflow's client sends with a request names the DAG and the task that the tags name."""
    for place, tags in _by_place(visits).items():
        named = {"Flowgauge-Dag-Id": "places", "Flowgauge-Task-Id": tags.get("airflow.task_id")}
        assert (place, {name: tags.get(f"request.{name}") for name in named}) == (place, named)


def test_a_callback_of_the_whole_dag_knows_its_dag(visits: Visits) -> None:
    """A callback that runs where DAG files are parsed logs with DAG and DAG run, and no task."""
    tags = _airflow_tags(_by_place(visits)["dag callback"])
    assert tags == {"dag_id": "places", "run_id": "loud"}


def test_the_rate_limit_is_kept_everywhere(visits: Visits) -> None:
    """A rate limit counts calls from every place, and raises in none."""
    assert visits.calls == 2 * (len(_PLACES) + 1)


def test_mlflow_enable_is_obeyed_everywhere(visits: Visits) -> None:
    """A DAG run with mlflow_enable off logs from no place, and the other from each once."""
    places = [run.data.params["place"] for run in visits.runs]
    assert sorted(places) == sorted([*_PLACES, "dag callback"])
    assert {run.data.tags["airflow.run_id"] for run in visits.runs} == {"loud"}


def test_a_task_links_to_its_run(visits: Visits) -> None:
    """A task that logged offers a link to its run, and one that did not offers none."""
    by_place = {run.data.params["place"]: run.info.run_id for run in visits.runs}
    failed = f"{PUBLIC_URI}#/runs/{by_place['failure callback']}"
    assert (visits.links["fails"], visits.links["ends"]) == (failed, "")


def test_a_task_that_logged_twice_links_to_both(visits: Visits, mlflow: MlflowServer) -> None:
    """The link is to a list of MLflow's, whose search finds its runs and no other's."""
    by_place = {run.data.params["place"]: run.info.run_id for run in visits.runs}
    link = urlsplit(visits.links["in_task"]).fragment
    (experiment_id,) = {run.info.experiment_id for run in visits.runs}
    assert link.startswith(f"/experiments/{experiment_id}/runs?")
    (wanted,) = parse_qs(link.partition("?")[2])["searchFilter"]
    found = MlflowClient(mlflow.url).search_runs([experiment_id], wanted)
    places = ("task", "success callback")
    assert {run.info.run_id for run in found} == {by_place[place] for place in places}


def test_a_task_whose_payload_was_kept_links_to_it_later(visits: Visits) -> None:
    """Once MLflow has the run there is the link."""
    by_place = {run.data.params["place"]: run.info.run_id for run in visits.runs}
    assert visits.links["keeps"] == f"{PUBLIC_URI}#/runs/{by_place['kept']}"
