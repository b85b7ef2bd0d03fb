import secrets
import uuid
from pathlib import Path

import httpx
import mlflow
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stack.mlflow import MlflowServer
from tests.server.scrape import settled


@pytest.fixture
def client(measured: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    """MLflow's own client."""
    # Before 3.5 it looks there for where artifacts are.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", measured.url)
    return mlflow.MlflowClient(measured.url)


def test_mlflows_own_client_finds_all_of_mlflow(
    measured: MlflowServer, client: mlflow.MlflowClient, folder: Path
) -> None:
    """Runs, metrics, artifacts and registered models work, and are counted, as with any server."""
    before = settled(measured.url)
    name = uuid.uuid4().hex
    run_id = client.create_run(client.create_experiment(name)).info.run_id
    client.log_metric(run_id, "rows", 7)
    (folder / "note.txt").write_text("kept")
    client.log_artifact(run_id, str(folder / "note.txt"))
    client.set_terminated(run_id)
    client.create_registered_model(name)
    assert client.get_run(run_id).data.metrics == {"rows": 7}
    assert Path(client.download_artifacts(run_id, "note.txt", str(folder))).read_text() == "kept"
    assert client.get_registered_model(name).name == name
    page = settled(measured.url)
    for counter in ("experiments_created", "runs_logged", "artifact_uploads"):
        series = f"mlflow_{counter}_total"
        assert page.value(series) == before.value(series) + 1


def test_the_ui_and_the_version_are_served(measured: MlflowServer) -> None:
    """The UI's page and its scripts, and the version, come through."""
    page = httpx.get(f"{measured.url}/").raise_for_status().text
    script = page.partition('src="')[2].partition('"')[0]
    assert httpx.get(f"{measured.url}/{script}").status_code == 200
    assert httpx.get(f"{measured.url}/version").text == mlflow.__version__


@pytest.mark.since(mlflow="3.15")  # before, MLflow has no word for them
def test_a_websocket_is_answered_by_mlflow(measured: MlflowServer) -> None:
    """Websockets reach MLflow, which has none and refuses the handshake."""
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    # 404 where uvicorn, lacking the package websockets, takes it for a plain request.
    assert httpx.get(f"{measured.url}/any", headers=handshake).status_code in (403, 404)


@pytest.mark.since(mlflow="3.17")
def test_mlflows_own_metrics_stay(measured: MlflowServer) -> None:
    """Traces sent by OpenTelemetry are stored, and MLflow's metrics of them are on the page."""
    before = settled(measured.url)
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = secrets.token_bytes(16), secrets.token_bytes(8), "load"
    span.start_time_unix_nano, span.end_time_unix_nano = 1, 2
    httpx.post(
        f"{measured.url}/v1/traces",
        content=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": "0"},
    ).raise_for_status()
    page = settled(measured.url)
    assert (
        page.value("mlflow_spans_ingested_total") == before.value("mlflow_spans_ingested_total") + 1
    )
    assert page.value("mlflow_otlp_spans_per_request_count") >= 1
    assert page.value("mlflow_http_requests_total", route="/v1/traces", status="200") >= 1
