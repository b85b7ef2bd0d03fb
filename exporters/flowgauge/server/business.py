"""What requests mean: experiments created, runs logged, artifacts uploaded.

Bytes that go to or come from the object store directly, past the server, cannot be seen here; that
the server let somebody move them can.
"""

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flowgauge.server.instruments import Instruments

__all__ = ["Work", "count_business", "show_from_the_start"]

_EXPERIMENTS = {("POST", "mlflow/experiments/create")}
_RUNS = {("POST", "mlflow/runs/create"), ("POST", "mlflow/runs/create-promptlab-run")}
_ARTIFACT_BODIES = {
    ("PUT", "mlflow-artifacts/artifacts/{artifact_path}"),
    ("POST", "mlflow/upload-artifact"),
}
# The parts of a multi-part upload go to the object store; only its end passes through MLflow.
_ARTIFACTS = _ARTIFACT_BODIES | {("POST", "mlflow-artifacts/mpu/complete/{artifact_path}")}
_MULTIPART = {
    ("POST", f"mlflow-artifacts/mpu/{step}/{{artifact_path}}"): state
    for step, state in (("create", "created"), ("complete", "completed"), ("abort", "aborted"))
}
_PRESIGNED = {
    ("POST", "mlflow/artifacts/presigned-upload-url"): "upload",
    ("POST", "mlflow/artifacts/presigned-download-url"): "download",
    ("GET", "mlflow-artifacts/presigned/{artifact_path}"): "download",
}
_LOGS = (
    _RUNS
    | _ARTIFACTS
    | {
        ("POST", endpoint)
        for endpoint in (
            "mlflow/logged-models",
            "mlflow/logged-models/{model_id}/params",
            "mlflow/model-versions/create",
            "mlflow/registered-models/create",
            "mlflow/runs/log-batch",
            "mlflow/runs/log-inputs",
            "mlflow/runs/log-metric",
            "mlflow/runs/log-model",
            "mlflow/runs/log-parameter",
            "mlflow/runs/outputs",
            "mlflow/runs/set-tag",
            "mlflow/traces",
            "/v1/traces",
        )
    }
)

_FIRST_ERROR = 400


class Work(NamedTuple):
    """What a request did: started a run, brought bytes of artifacts, left anything in MLflow."""

    started_run: bool
    artifact_bytes: int
    logged: bool


def show_from_the_start(instruments: "Instruments") -> None:
    """Show with 0 what has not happened yet: a series that is born at 1 has no increase."""
    for state in _MULTIPART.values():
        instruments.artifact_multipart.labels(state)
    for direction in _PRESIGNED.values():
        instruments.artifact_presigned.labels(direction)


def count_business(
    instruments: "Instruments", method: str, route: str, status: int, received: int
) -> Work:
    """Count what a request did and return it; *received* is how many bytes of its body arrived."""
    kind = _kind(method, route)
    succeeded = status < _FIRST_ERROR
    if kind.experiment and succeeded:
        instruments.experiments_created.inc()
    elif kind.run and succeeded:
        instruments.runs_logged.inc()
    elif kind.artifact:
        uploads = instruments.artifact_uploads if succeeded else instruments.artifact_upload_failed
        uploads.inc()
        if kind.artifact_body:
            instruments.artifact_upload_bytes.inc(received)
    if kind.multipart and succeeded:
        instruments.artifact_multipart.labels(kind.multipart).inc()
    elif kind.presigned and succeeded:
        instruments.artifact_presigned.labels(kind.presigned).inc()
    return Work(
        started_run=kind.run and succeeded,
        artifact_bytes=received if kind.artifact_body else 0,
        logged=kind.logs and succeeded,
    )


class _Kind(NamedTuple):
    experiment: bool
    run: bool
    artifact: bool
    artifact_body: bool
    logs: bool
    multipart: str | None
    presigned: str | None


@cache  # methods and routes are few
def _kind(method: str, route: str) -> _Kind:
    # /api/2.0/mlflow/runs/create for clients, /ajax-api/2.0/… for the UI
    _, _, endpoint = route.partition(".0/")
    request = (method, endpoint or route)
    return _Kind(
        experiment=request in _EXPERIMENTS,
        run=request in _RUNS,
        artifact=request in _ARTIFACTS,
        artifact_body=request in _ARTIFACT_BODIES,
        logs=request in _LOGS,
        multipart=_MULTIPART.get(request),
        presigned=_PRESIGNED.get(request),
    )
