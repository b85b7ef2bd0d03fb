"""What a task sends to MLflow, and the truth about it; also a program, which a task starts."""

# ruff: noqa: PLC0415 - a DAG file is parsed every few seconds: tasks import what they need

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["log_a_run", "noted"]


@contextmanager
def noted(task_id: str) -> Iterator[None]:
    """Note the requests to MLflow, whichever client sends them, in a file named after the task."""
    import httpx
    from requests.adapters import HTTPAdapter

    uri = os.environ["MLFLOW_TRACKING_URI"]
    sent = {"requests": 0, "runs_started": 0, "artifact_bytes": 0}
    by_requests, by_httpx = HTTPAdapter.send, httpx.Client.send

    def note(request: Any) -> None:
        if str(request.url).startswith(uri):
            sent["requests"] += 1
            sent["runs_started"] += str(request.url).endswith("/runs/create")
            if request.method == "PUT":
                sent["artifact_bytes"] += int(request.headers["Content-Length"])

    def noting(send: Callable[..., Any]) -> Callable[..., Any]:
        def noted(client: Any, request: Any, *arguments: Any, **options: Any) -> Any:
            note(request)
            return send(client, request, *arguments, **options)

        return noted

    HTTPAdapter.send = noting(by_requests)  # type: ignore[method-assign]
    httpx.Client.send = noting(by_httpx)  # type: ignore[method-assign]
    try:
        yield
    finally:
        HTTPAdapter.send, httpx.Client.send = by_requests, by_httpx  # type: ignore[method-assign]
        Path(os.environ["NOTES"], f"{task_id}.json").write_text(json.dumps(sent))


def log_a_run() -> None:
    """Use what most DAGs use of MLflow's fluent API."""
    import mlflow

    mlflow.set_experiment("plain")
    with mlflow.start_run():
        mlflow.log_params({"lr": 0.1, "n": 3})
        for step in range(3):
            mlflow.log_metric("loss", 1 / (step + 1), step)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "note.txt")
            file.write_text("x" * 1000)
            mlflow.log_artifact(str(file))


if __name__ == "__main__":
    with noted(sys.argv[1]):
        log_a_run()
