"""What runs inside the MLflow server: `mlflow server --app-name flowgauge`.

MLflow loads this package twice over. The `mlflow server` command imports it once, before it starts
any worker, to see whether `create_app` is a factory; that is the only code of ours that runs once
per start, so the preparations of `flowgauge.server.startup` hang on the import. Every uvicorn
worker then imports it again and calls `create_app`.
"""

from typing import TYPE_CHECKING

from flowgauge.server import startup

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["create_app"]

startup.prepare_server()


def create_app() -> "ASGIApp":
    """Return the whole MLflow application with `/metrics` in front of it.

    Ends the process with one sentence when the workers could not share their metrics.
    """
    startup.join_workers()
    # Not at the top: prometheus_client decides at its import where metrics are kept.
    from flowgauge.server.assembly import assemble  # noqa: PLC0415

    return assemble(_mlflow_app)


def _mlflow_app() -> "ASGIApp":
    from mlflow.server.fastapi_app import app  # noqa: PLC0415 - importing it builds MLflow

    mlflow_app: ASGIApp = app
    return mlflow_app
