"""MLflow with its user accounts, measured: `mlflow server --app-name flowgauge-basic-auth`.

The short form of `--app-name basic-auth --app-name flowgauge`.
"""

from typing import TYPE_CHECKING

from flowgauge.server import startup
from flowgauge.server.mlflow_host import BASIC_AUTH

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["create_app"]


def create_app() -> "ASGIApp":
    """Return MLflow's basic-auth application, measured, with `/metrics` in front of it.

    Ends the process with one sentence if it cannot be.
    """
    return startup.create_app(BASIC_AUTH)
