"""Artifacts that go past the server, on a server of artifacts alone."""

from collections.abc import Iterator

import httpx
import pytest

from stack.mlflow import MlflowServer, mlflow_server
from tests.server.conftest import APP
from tests.server.object_store import SCHEME, install
from tests.server.scrape import Change, scrape

pytestmark = [pytest.mark.since(mlflow="3.15"), pytest.mark.whole_system(seconds=20)]

API = "/api/2.0/mlflow-artifacts"
MULTIPART = "mlflow_artifact_multipart_total"
PRESIGNED = "mlflow_artifact_presigned_total"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """`mlflow server --artifacts-only` with the app, on an object store."""
    folder = tmp_path_factory.mktemp("artifacts")
    options = (*APP, "--artifacts-only", "--artifacts-destination", f"{SCHEME}://models")
    env = {"PYTHONPATH": str(install(folder / "site"))}
    with mlflow_server(folder, options=options, env=env) as server:
        yield server


@pytest.fixture
def change(artifacts: MlflowServer) -> Change:
    """What the test itself adds to the counters."""
    return Change(artifacts.url)


def _step(server: MlflowServer, step: str, **wanted: object) -> int:
    asked = {"path": "model.bin", **wanted}
    return httpx.post(f"{server.url}{API}/mpu/{step}/run/model", json=asked).status_code


def test_multi_part_uploads_are_counted_by_what_becomes_of_them(
    artifacts: MlflowServer, change: Change
) -> None:
    """Created, completed, aborted: the rest was abandoned. A step that fails is none."""
    part = {"part_number": 1, "etag": "e"}
    for _ in range(3):
        assert _step(artifacts, "create", num_parts=2) == 200
    assert _step(artifacts, "complete", upload_id="1", parts=[part]) == 200
    assert _step(artifacts, "abort", upload_id="1") == 200
    assert _step(artifacts, "abort", upload_id="2") == 500
    shown = scrape(artifacts.url).labels(MULTIPART, "state")
    states = {state: change.of(MULTIPART, state=state) for state in shown}
    assert states == {"created": 3, "completed": 1, "aborted": 1}
    assert change.of("mlflow_artifact_uploads_total") == 1
    assert change.of("mlflow_artifact_upload_bytes_total") == 0


def test_addresses_that_are_given_away_are_counted(artifacts: MlflowServer, change: Change) -> None:
    """With one, a client moves bytes that nobody counts."""
    httpx.get(f"{artifacts.url}{API}/presigned/run/model.bin").raise_for_status()
    assert change.of(PRESIGNED, direction="download") == 1


def test_a_server_of_artifacts_alone_is_measured(artifacts: MlflowServer, change: Change) -> None:
    """Uploads through it are counted; it has no database, so no pool and no inventory."""
    httpx.put(f"{artifacts.url}{API}/artifacts/run/a.bin", content=b"12345").raise_for_status()
    assert change.of("mlflow_artifact_upload_bytes_total") == 5
    refused = httpx.post(f"{artifacts.url}/api/2.0/mlflow/runs/create", json={})
    assert refused.status_code == 503
    assert change.of("mlflow_runs_logged_total") == 0
    page = scrape(artifacts.url)
    assert page.series("mlflow_db_pool_connections") == []
    assert page.series("mlflow_inventory_read_timestamp_seconds") == []
    assert page.value("flowgauge_server_measuring_failed_total") == 0
