import socket
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from stack.exporter import exporter
from stack.mlflow import MlflowServer
from stack.process import wait_for
from tests.server.object_store import SCHEME
from tests.server.scrape import Change, scrape

REQUESTS = "mlflow_http_requests_total"
DURATIONS = "mlflow_http_request_duration_seconds_count"
API = "/api/2.0/mlflow"
ARTIFACT_ROUTE = "/api/2.0/mlflow-artifacts/artifacts/{artifact_path}"


@pytest.mark.parametrize(
    ("request_line", "route", "status"),
    [
        ("GET /", "/", 200),
        ("GET /health", "/health", 200),
        (f"GET {API}/experiments/get?experiment_id=0", f"{API}/experiments/get", 200),
        ("GET /api/3.0/mlflow/traces/tr-7", "/api/3.0/mlflow/traces/{trace_id}", 404),
        ("GET /static-files/no/such.js", "/static-files/{path}", 404),
        pytest.param(
            "GET /api/3.0/mlflow/mcp-servers/some/name/versions",
            "/api/3.0/mlflow/mcp-servers/{name}/versions",
            200,
            marks=pytest.mark.since(mlflow="3.15"),
        ),
        pytest.param("POST /v1/traces", "/v1/traces", 422, marks=pytest.mark.since(mlflow="3.4")),
        pytest.param(
            "POST /gateway/proxy/a/b/c",
            "/gateway/proxy/{endpoint_name}/{path}",
            400,
            marks=pytest.mark.since(mlflow="3.13"),
        ),
    ],
)
def test_a_request_is_counted_under_its_template(
    measured: MlflowServer, change: Change, request_line: str, route: str, status: int
) -> None:
    """Flask's and FastAPI's routes alike: method, template and status are those of the request."""
    method, path = request_line.split()
    assert httpx.request(method, measured.url + path).status_code == status
    assert change.of(REQUESTS, method=method, route=route, status=str(status)) == 1
    # Where a route served nobody yet, its time is that of `other`.
    assert change.of(DURATIONS, method=method) == 1
    assert status >= 400 or change.of(DURATIONS, method=method, route=route) == 1


def test_what_the_exporter_asks_is_told_from_users_requests(
    measured: MlflowServer, change: Change, folder: Path
) -> None:
    """Its requests have a route of their own, whatever they ask, and add nothing to any other."""
    with exporter(folder, mlflow_uri=measured.url, store=f"sqlite:///{folder}/store.db") as url:
        httpx.get(f"{url}/metrics", timeout=30).raise_for_status()
    probed = change.of(REQUESTS, route="probe", status="200")
    assert probed >= 2
    others = [
        route for route in scrape(measured.url).labels(REQUESTS, "route") if "search" in route
    ]
    assert {route: change.of(REQUESTS, route=route) for route in others} == dict.fromkeys(others, 0)


def test_no_path_of_a_stranger_becomes_a_label(measured: MlflowServer, change: Change) -> None:
    """Whatever matches no route is `other`, and the path is nowhere on the page."""
    junk = uuid.uuid4().hex
    for path in (f"/{junk}", f"/api/2.0/mlflow/{junk}", f"/{junk}/{junk}?{junk}"):
        httpx.get(measured.url + path)
    assert change.of(REQUESTS, route="other", status="404") == 3
    assert junk not in scrape(measured.url).text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("DELETE", "registered-models/delete", 404), ("OPTIONS", "registered-models/get", 204)],
)
def test_who_walks_over_all_routes_leaves_few_series(
    measured: MlflowServer, change: Change, method: str, path: str, status: int
) -> None:
    """A route by which nobody was served has no histogram of its own; its request is counted."""
    route = f"{API}/{path}"
    body = {"name": "no such model"}
    assert httpx.request(method, measured.url + route, json=body).status_code == status
    assert change.of(REQUESTS, method=method, route=route, status=str(status)) == 1
    assert change.of(DURATIONS, method=method, route="other") == 1
    page = scrape(measured.url)
    assert not page.value(DURATIONS, method=method, route=route)
    assert len(page.series(REQUESTS, method=method, route=route)) == 1


def test_a_route_that_serves_shows_that_it_has_not_failed(measured: MlflowServer) -> None:
    """Its failures begin at 0, for the first of a series that is born with it is no increase."""
    route = f"{API}/experiments/get"
    httpx.get(f"{measured.url}{route}?experiment_id=0").raise_for_status()
    page = scrape(measured.url)
    shown = {
        labels["status"]: value
        for labels, value in page.series(REQUESTS, method="GET", route=route)
        if labels["status"] in {"500", "503"}
    }
    assert shown == {"500": 0, "503": 0}


def test_creating_experiments_and_runs_is_counted(measured: MlflowServer, change: Change) -> None:
    """A created experiment or run counts once, whether by client or by UI; a refused one never."""
    name = uuid.uuid4().hex
    created = httpx.post(f"{measured.url}{API}/experiments/create", json={"name": name})
    experiment_id = created.raise_for_status().json()["experiment_id"]
    again = httpx.post(f"{measured.url}{API}/experiments/create", json={"name": name})
    assert again.status_code == 400
    for api in ("/api", "/ajax-api"):
        run = {"experiment_id": experiment_id, "start_time": 1}
        httpx.post(f"{measured.url}{api}/2.0/mlflow/runs/create", json=run).raise_for_status()
    assert (
        httpx.post(f"{measured.url}{API}/runs/create", json={"experiment_id": "77"}).status_code
        == 404
    )
    assert change.of("mlflow_experiments_created_total") == 1
    assert change.of("mlflow_runs_logged_total") == 2


def test_a_run_of_the_prompt_lab_is_a_run(measured: MlflowServer, change: Change) -> None:
    """Runs that the UI's prompt lab creates count as runs."""
    run = {
        "experiment_id": "0",
        "run_name": "prompt",
        "model_route": "model",
        "prompt_template": "{{x}}",
        "prompt_parameters": [{"key": "x", "value": "y"}],
        "model_input": "y",
        "model_output": "z",
        "mlflow_version": "1",
        "user_id": "me",
        "start_time": "1",
    }
    url = f"{measured.url}/ajax-api/2.0/mlflow/runs/create-promptlab-run"
    httpx.post(url, json=run, timeout=60).raise_for_status()
    assert change.of("mlflow_runs_logged_total") == 1


def _artifact(server: MlflowServer, path: str) -> str:
    return f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{path}"


def test_an_uploaded_artifact_counts_with_its_bytes(measured: MlflowServer, change: Change) -> None:
    """A PUT counts one upload and the body's bytes, which stock MLflow does not see at all."""
    body = b"x" * 200_000
    httpx.put(_artifact(measured, f"{uuid.uuid4().hex}/a.bin"), content=body).raise_for_status()
    assert change.of("mlflow_artifact_uploads_total") == 1
    assert change.of("mlflow_artifact_upload_bytes_total") == len(body)
    assert change.of("mlflow_artifact_upload_failed_total") == 0
    assert change.of(REQUESTS, method="PUT", route=ARTIFACT_ROUTE, status="200") == 1


def test_an_artifact_uploaded_by_the_ui_counts_too(measured: MlflowServer, change: Change) -> None:
    """The UI's own upload route is an upload like any other."""
    created = httpx.post(f"{measured.url}{API}/runs/create", json={"experiment_id": "0"})
    run_id = created.raise_for_status().json()["run"]["info"]["run_id"]
    httpx.post(
        f"{measured.url}/ajax-api/2.0/mlflow/upload-artifact",
        params={"run_uuid": run_id, "path": "note.txt"},
        content=b"12345",
    ).raise_for_status()
    assert change.of("mlflow_artifact_uploads_total") == 1
    assert change.of("mlflow_artifact_upload_bytes_total") == 5


@pytest.mark.since(mlflow="3.15")
def test_an_address_for_an_upload_past_the_server_is_counted(
    measured: MlflowServer, change: Change
) -> None:
    """With it a client moves bytes that nobody counts; one that is refused counts for nothing."""
    place = {"name": uuid.uuid4().hex, "artifact_location": f"{SCHEME}://models"}
    made = httpx.post(f"{measured.url}{API}/experiments/create", json=place).raise_for_status()
    ids = []
    for experiment in (made.json(), {"experiment_id": "0"}):
        run = httpx.post(f"{measured.url}{API}/runs/create", json=experiment).raise_for_status()
        ids.append(run.json()["run"]["info"]["run_id"])
    statuses = [
        httpx.post(
            f"{measured.url}{API}/artifacts/presigned-upload-url",
            json={"run_id": run_id, "path": "model.bin"},
        ).status_code
        for run_id in ids
    ]
    assert statuses == [200, 400]
    assert change.of("mlflow_artifact_presigned_total", direction="upload") == 1
    assert change.of("mlflow_artifact_uploads_total") == 0


def test_a_failing_upload_counts_as_failed(measured: MlflowServer, change: Change) -> None:
    """A destination that cannot be written gives 500 and one failed upload."""
    file = uuid.uuid4().hex
    httpx.put(_artifact(measured, file), content=b"1").raise_for_status()
    assert httpx.put(_artifact(measured, f"{file}/below-a-file"), content=b"22").status_code == 500
    assert change.of("mlflow_artifact_upload_failed_total") == 1
    assert change.of("mlflow_artifact_uploads_total") == 1
    assert change.of(REQUESTS, route=ARTIFACT_ROUTE, status="500") == 1


def test_a_broken_off_upload_is_the_client_gone(measured: MlflowServer, change: Change) -> None:
    """A client that leaves in the middle of its upload counts as 499 and as a failed upload."""
    address = urlsplit(measured.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as client:
        path = urlsplit(_artifact(measured, uuid.uuid4().hex)).path
        client.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 1000\r\n\r\nhalf"
            "".encode()
        )
        wait_for(
            lambda: scrape(measured.url).value("mlflow_http_requests_in_progress") == 1, "arrived"
        )
    wait_for(lambda: change.of(REQUESTS, route=ARTIFACT_ROUTE, status="499") == 1, "499 is counted")
    assert change.of("mlflow_artifact_upload_failed_total") == 1
    assert change.of("mlflow_artifact_upload_bytes_total") == len("half")
    assert scrape(measured.url).value("mlflow_http_requests_in_progress") == 0
