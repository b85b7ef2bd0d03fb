"""flowgauge wherever DAG code runs, on the Airflow of AIRFLOW_PYTHON (by default, this one)."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from flowgauge.store import open_store
from flowgauge.store.rate_limits import rate_limits
from stack.airflow import AIRFLOW_PYTHON, Airflow, airflow
from stack.mlflow import MlflowServer
from stack.process import wait_for

# The first test waits for two runs of the DAG, which Airflow 2 goes through task by task.
pytestmark = [pytest.mark.timeout(900), pytest.mark.whole_system(seconds=70)]

_HERE = Path(__file__).parent
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


@dataclass(frozen=True)
class Visits:
    """What two runs of `dags/places.py` left, `loud` and, with mlflow_enable off, `silent`.

    `calls` is how often the rate limit was asked by both, `links` what tasks of the loud one offer.
    """

    runs: Sequence[Run]
    calls: int
    links: Mapping[str, str]


@pytest.fixture(scope="module")
def visits(mlflow: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Visits:
    """The DAG, run by a scheduler, each task in a process of its own."""
    folder = tmp_path_factory.mktemp("places")
    env = {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(_HERE / "plugins"),
        "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db",
        "MLFLOW_TRACKING_URI": mlflow.url,
        "PROBE_EXPERIMENT": folder.name,
        "PROBE_FOLDER": str(folder),
        "PYTHONPATH": str(_HERE / "probe"),
    }
    with airflow(folder / "airflow", _HERE / "dags", env=env, python=AIRFLOW_PYTHON) as server:
        # Fails until the DAG is known.
        wait_for(lambda: _trigger(server, "loud"), "the DAG is triggered", timeout=300)
        # The callback of the whole DAG comes last. Where those of two runs share a process, Airflow
        # tells the second the parameters of the first.
        wait_for((folder / "loud").exists, "the run loud ends", timeout=600)
        _trigger(server, "silent", mlflow_enable=False)
        wait_for((folder / "silent").exists, "the run silent ends", timeout=600)
        # If no other log call has sent what was kept, this does.
        _run(server, str(Path(AIRFLOW_PYTHON).with_name("flowgauge")), "outbox", "flush")
        tasks = ("in_task", "fails", "keeps", "ends")
        shown = _run(server, AIRFLOW_PYTHON, str(_HERE / "link.py"), "places", "loud", *tasks)
    client = MlflowClient(mlflow.url)
    experiment = client.get_experiment_by_name(folder.name)
    assert experiment
    with closing(open_store(env["FLOWGAUGE_STORE"])) as store:
        calls = sum(limit["calls"] for limit in rate_limits(store) if limit["key"] == "places")
    runs = client.search_runs([experiment.experiment_id])
    (links,) = [line for line in shown.stdout.splitlines() if line.startswith("links ")]
    return Visits(runs, calls, json.loads(links.removeprefix("links ")))


def _trigger(server: Airflow, run_id: str, **conf: object) -> bool:
    airflow_command = str(Path(AIRFLOW_PYTHON).with_name("airflow"))
    arguments = ["dags", "trigger", "places", "--run-id", run_id, "--conf", json.dumps(conf)]
    return _run(server, airflow_command, *arguments).returncode == 0


def _run(server: Airflow, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **server.env}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


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


def test_a_task_links_to_its_run(visits: Visits, mlflow: MlflowServer) -> None:
    """A task that logged offers a link to its run, and one that did not offers none."""
    by_place = {run.data.params["place"]: run.info.run_id for run in visits.runs}
    failed = f"{mlflow.url}/#/runs/{by_place['failure callback']}"
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


def test_a_task_whose_payload_was_kept_links_to_it_later(
    visits: Visits, mlflow: MlflowServer
) -> None:
    """Once MLflow has the run there is the link."""
    by_place = {run.data.params["place"]: run.info.run_id for run in visits.runs}
    assert visits.links["keeps"] == f"{mlflow.url}/#/runs/{by_place['kept']}"
