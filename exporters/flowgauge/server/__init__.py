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
    """Return the MLflow application that is to be measured with `/metrics` in front of it.

    That is the app of an earlier `--app-name` or of FLOWGAUGE_MLFLOW_APP, else MLflow without a
    login. Ends the process with one sentence if it cannot be.
    """
    return startup.create_app()
