"""What requests mean: experiments created, runs logged, artifacts uploaded.

Uploads that go to the object store directly, past the server, cannot be seen here.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowgauge.server.instruments import Instruments

__all__ = ["count_business"]

_EXPERIMENTS = {("POST", "mlflow/experiments/create")}
_RUNS = {("POST", "mlflow/runs/create"), ("POST", "mlflow/runs/create-promptlab-run")}
_ARTIFACT_BODIES = {
    ("PUT", "mlflow-artifacts/artifacts/{artifact_path}"),
    ("POST", "mlflow/upload-artifact"),
}
# The parts of a multi-part upload go to the object store; only its end passes through MLflow.
_ARTIFACTS = _ARTIFACT_BODIES | {("POST", "mlflow-artifacts/mpu/complete/{artifact_path}")}

_FIRST_ERROR = 400


def count_business(
    instruments: "Instruments", method: str, route: str, status: int, received: int
) -> None:
    """Count what a request did; *received* is how many bytes of its body arrived."""
    # /api/2.0/mlflow/runs/create for clients, /ajax-api/2.0/… for the UI
    _, _, endpoint = route.partition(".0/")
    request = (method, endpoint)
    succeeded = status < _FIRST_ERROR
    if request in _EXPERIMENTS and succeeded:
        instruments.experiments_created.inc()
    elif request in _RUNS and succeeded:
        instruments.runs_logged.inc()
    elif request in _ARTIFACTS:
        uploads = instruments.artifact_uploads if succeeded else instruments.artifact_upload_failed
        uploads.inc()
        if request in _ARTIFACT_BODIES:
            instruments.artifact_upload_bytes.inc(received)
