"""The exporter beside an MLflow that keeps its runs in workspaces."""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flowgauge.exporter.collector import Collector, Context
from flowgauge.exporter.collectors.gateway import GatewayCollector
from flowgauge.exporter.collectors.runs import RunsCollector
from flowgauge.exporter.collectors.tracking import TrackingCollector
from flowgauge.exporter.scrape import Scrape
from flowgauge.store import open_store
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import TrackingUnauthorizedError
from flowgauge.tracking.queries import Queries
from flowgauge.tracking.tags import DAG_ID_TAG
from stack.mlflow import MlflowServer, mlflow_server
from stack.process import wait_for

pytestmark = pytest.mark.since(mlflow="3.10")

_TEAMS = ("team-a", "team-b")


# As in Kubernetes, where workspaces are namespaces, there is none that stands for all.
_PROVIDER = """
from mlflow.store.workspace.sqlalchemy_store import SqlAlchemyStore

class Store(SqlAlchemyStore):
    def __init__(self, workspace_uri):
        super().__init__(workspace_uri.replace("teams", "sqlite", 1))

    def get_default_workspace(self):
        raise NotImplementedError
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A MLflow that wants a workspace, of which there are MLflow's own and two of teams."""
    folder = tmp_path_factory.mktemp("workspaces")
    info = folder / "teams-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: teams\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlflow.workspace_provider]\nteams = teams:Store\n")
    (folder / "teams.py").write_text(_PROVIDER)
    options = ["--enable-workspaces", f"--workspace-store-uri=teams:///{folder}/mlflow.db"]
    env = {"PYTHONPATH": str(folder), "MLFLOW_ENABLE_AI_GATEWAY": "false"}
    with mlflow_server(folder, options=options, env=env) as running:
        for team in _TEAMS:
            _ask(running, "POST", "workspaces", {"name": team})
        yield running


def _ask(server: MlflowServer, method: str, path: str, body: object = None) -> httpx.Response:
    address = f"{server.url}/api/3.0/mlflow/{path}"
    return httpx.request(method, address, json=body, timeout=60).raise_for_status()


def _start(server: MlflowServer, workspace: str, dag_id: str, **fields: object) -> None:
    """Start a run of *dag_id* in an experiment of the workspace, of the same name as the DAG."""
    with TrackingClient(server.url, environ={"MLFLOW_WORKSPACE": workspace}) as client:
        made = client.call("POST", "experiments/create", {"name": f"{dag_id} {uuid.uuid4().hex}"})
        tags = [{"key": DAG_ID_TAG, "value": dag_id}]
        new = {**made, "start_time": time.time_ns() // 1_000_000, "tags": tags, **fields}
        client.call("POST", "runs/create", new)


@contextmanager
def _context(
    url: str, folder: Path, environ: Mapping[str, str] | None = None, *, most: int = 20
) -> Iterator[Context]:
    with TrackingClient(url, environ=environ or {}, timeout_seconds=60) as client:
        store = open_store(f"sqlite:///{folder}/store.db")
        yield Context(client, store, runs_interval_seconds=0, max_workspaces=most)


def _page(collector: Collector) -> Mapping[str, Mapping[str, float]]:
    """Return what a scrape shows: values by the metric's name, and their labels as text."""
    text = generate_latest(Scrape([collector])).decode()
    return {
        found.name: {
            " ".join(f"{name}={value}" for name, value in sorted(sample.labels.items())): (
                sample.value
            )
            for sample in found.samples
        }
        for found in text_string_to_metric_families(text)
    }


def test_each_workspace_is_read_by_itself(server: MlflowServer, folder: Path) -> None:
    """DAGs of one name in two workspaces are two series, and a new run is seen in its turn."""
    dag_id = uuid.uuid4().hex
    for workspace in (*_TEAMS, "team-b"):
        _start(server, workspace, dag_id)
    with _context(server.url, folder) as context:
        collector = RunsCollector(context)
        workspaces = {f"workspace={name}" for name in ("default", *_TEAMS)}

        def is_read() -> bool:
            return _page(collector)["mlflow_dag_runs_read_timestamp_seconds"].keys() == workspaces

        # One look has seconds: where the machine is busy, the next one goes on.
        wait_for(is_read, "each workspace is read")
        page = _page(collector)
        shown = {labels: n for labels, n in page["mlflow_dag_runs"].items() if dag_id in labels}
        assert shown == {
            f"dag_id={dag_id} status=RUNNING workspace=team-a": 1,
            f"dag_id={dag_id} status=RUNNING workspace=team-b": 2,
        }
        assert page["mlflow_dag_runs_limited"] == dict.fromkeys(workspaces, 0)
        _start(server, "team-a", dag_id)
        series = f"dag_id={dag_id} status=RUNNING workspace=team-a"
        looks = [_page(collector)["mlflow_dag_runs"][series] for _ in workspaces]
        assert looks[-1] == 2


def test_workspaces_are_bounded(server: MlflowServer, folder: Path) -> None:
    """Those beyond the bound are not read, and the page says that there are more."""
    with _context(server.url, folder, most=2) as context:
        page = _page(RunsCollector(context))
    assert page["mlflow_dag_runs_limited"] == {"": 1, "workspace=default": 0, "workspace=team-a": 0}


def test_the_bound_of_dags_is_one_for_all_workspaces(server: MlflowServer, folder: Path) -> None:
    """Else each further workspace would bring as many series."""
    for workspace in _TEAMS:
        _start(server, workspace, uuid.uuid4().hex)
    with TrackingClient(server.url, environ={}) as client:
        store = open_store(f"sqlite:///{folder}/store.db")
        page = _page(RunsCollector(Context(client, store, max_pairs=1, runs_interval_seconds=0)))
    last = page["mlflow_dag_last_run_timestamp_seconds"]
    assert sum("dag_id=other" not in labels for labels in last) == 1


def test_one_workspace_is_asked_if_one_is_named(server: MlflowServer, folder: Path) -> None:
    """MLFLOW_WORKSPACE names it, and the label says which one it is."""
    with _context(server.url, folder, {"MLFLOW_WORKSPACE": "team-a"}) as context:
        page = _page(RunsCollector(context))
    assert page["mlflow_dag_runs_limited"] == {"workspace=team-a": 0}


def test_a_workspace_that_is_gone_leaves_the_page(server: MlflowServer, folder: Path) -> None:
    """Once MLflow has been asked again; until then it hides none of the others."""
    _ask(server, "POST", "workspaces", {"name": "short-lived"})
    now = 0.0
    with _context(server.url, folder) as context:
        collector = RunsCollector(context, clock=lambda: now)
        assert "workspace=short-lived" in _page(collector)["mlflow_dag_runs_limited"]
        _ask(server, "DELETE", "workspaces/short-lived")
        _start(server, "team-a", "meanwhile")
        pages = [_page(collector) for _ in range(4)]
        assert min(page["flowgauge_collector_success"]["collector=runs"] for page in pages) == 0
        shown = pages[-1]["mlflow_dag_runs"]
        assert shown["dag_id=meanwhile status=RUNNING workspace=team-a"] == 1
        now = 400.0
        page = _page(collector)
        assert "workspace=short-lived" not in page["mlflow_dag_runs_limited"]
        assert page["flowgauge_collector_success"]["collector=runs"] == 1


def test_a_gateway_that_is_switched_off_is_no_failure(server: MlflowServer, folder: Path) -> None:
    """MLflow answers 501 then, in each workspace; there is nothing to show."""
    with _context(server.url, folder) as context:
        page = _page(GatewayCollector(context))
    assert page["flowgauge_collector_success"] == {"collector=gateway": 1}
    assert page["mlflow_gateway_tokens"] == page["mlflow_gateway_budget_usd"] == {}


def test_a_wrong_workspace_is_told_from_an_mlflow_that_is_down(
    server: MlflowServer, folder: Path
) -> None:
    """The reason is the login's and workspace's, for which FlowgaugeLoginRefused stands."""
    with _context(server.url, folder, {"MLFLOW_WORKSPACE": "team-c"}) as context:
        page = _page(TrackingCollector(context))
    assert page["mlflow_up"] == {"": 0}
    assert page["mlflow_probe_failure"]["reason=unauthorized"] == 1
    assert page["mlflow_probe_failure"]["reason=unreachable"] == 0


def test_where_mlflow_wants_a_workspace_the_probe_takes_one(
    server: MlflowServer, folder: Path
) -> None:
    """It answers no question without one; those that the exporter's user may see will do."""
    with _context(server.url, folder) as context:
        with pytest.raises(TrackingUnauthorizedError, match="wants a workspace"):
            Queries(context.tracking).probe()
        page = _page(TrackingCollector(context))
    assert page["mlflow_up"] == {"": 1}
    assert set(page["mlflow_probe_failure"].values()) == {0}


class _Boasting(TrackingClient):
    """Is told of a workspace that refuses whoever asks it."""

    def call(self, method: str, endpoint: str, *args: Any, **options: Any) -> dict[str, Any]:
        """Call, and add it."""
        answer = super().call(method, endpoint, *args, **options)
        if endpoint == "workspaces":
            answer["workspaces"].append({"name": "closed"})
        return answer


def test_a_workspace_that_refuses_does_not_have_mlflow_asked_more_often(
    server: MlflowServer, folder: Path
) -> None:
    """It is not waited for like one that has not been read to the end yet."""
    now = 0.0
    with _Boasting(server.url, environ={}, timeout_seconds=60) as client:
        store = open_store(f"sqlite:///{folder}/store.db")
        context = Context(client, store, runs_interval_seconds=60)
        collector = RunsCollector(context, clock=lambda: now)
        assert _page(collector)["flowgauge_collector_success"]["collector=runs"] == 0
        now = 59.0
        _start(server, "team-b", "unseen")
        assert "unseen" not in str(_page(collector)["mlflow_dag_runs"])
        now = 61.0
        assert "unseen" in str([_page(collector) for _ in range(3)])
