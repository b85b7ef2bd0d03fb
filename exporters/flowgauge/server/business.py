"""What requests mean: experiments created, runs logged, artifacts uploaded.

Uploads that go to the object store directly, past the server, cannot be seen here.
"""

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flowgauge.server.instruments import Instruments

__all__ = ["Work", "count_business"]

_EXPERIMENTS = {("POST", "mlflow/experiments/create")}
_RUNS = {("POST", "mlflow/runs/create"), ("POST", "mlflow/runs/create-promptlab-run")}
_ARTIFACT_BODIES = {
    ("PUT", "mlflow-artifacts/artifacts/{artifact_path}"),
    ("POST", "mlflow/upload-artifact"),
}
# The parts of a multi-part upload go to the object store; only its end passes through MLflow.
_ARTIFACTS = _ARTIFACT_BODIES | {("POST", "mlflow-artifacts/mpu/complete/{artifact_path}")}
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


@cache  # methods and routes are few
def _kind(method: str, route: str) -> _Kind:
    # /api/2.0/mlflow/runs/create for clients, /ajax-api/2.0/… for the UI
    _, _, endpoint = route.partition(".0/")
    request = (method, endpoint or route)
    kinds = (_EXPERIMENTS, _RUNS, _ARTIFACTS, _ARTIFACT_BODIES, _LOGS)
    return _Kind(*(request in kind for kind in kinds))
