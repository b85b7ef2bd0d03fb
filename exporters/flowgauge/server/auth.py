"""MLflow with user accounts, measured: `mlflow server --app-name flowgauge-basic-auth`.

The command does a few things for the one name `basic-auth` alone (`mlflow.server._run_server`);
here they are done for ours.
"""

import os
import secrets
from typing import TYPE_CHECKING

import click
from starlette.responses import Response

from flowgauge.server import startup

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

__all__ = ["create_app"]


def create_app() -> "ASGIApp":
    """Return MLflow's basic-auth application with `/metrics` in front of it, for its admins only.

    Others get what MLflow itself answers: 401 without a valid login, 403 for a user.
    """
    startup.join_workers()
    # Not at the top: prometheus_client decides at its import where metrics are kept.
    from flowgauge.server.assembly import assemble  # noqa: PLC0415

    return assemble(_mlflow_app, guard=_admins_only)


def _mlflow_app() -> "ASGIApp":
    from mlflow.server import auth  # noqa: PLC0415 - importing it builds MLflow

    mlflow_app: ASGIApp = auth.create_app()
    return mlflow_app


def _admins_only(request: "Request") -> Response | None:
    from flask import Response as FlaskResponse  # noqa: PLC0415 - comes with MLflow
    from mlflow.server import app, auth  # noqa: PLC0415 - importing it builds MLflow

    # MLflow's login, which may be a plug-in, reads Flask's request.
    with app.test_request_context(request.url.path, headers=dict(request.headers)):
        login = auth.authenticate_request()
        if isinstance(login, FlaskResponse):
            refusal = login
        elif auth.sender_is_admin():
            return None
        else:
            refusal = auth.make_forbidden_response()
        return Response(refusal.get_data(), refusal.status_code, dict(refusal.headers))


def _bootstrap() -> None:
    """Create the admin once, before any worker, and the token that workers and jobs share."""
    from mlflow.environment_variables import (  # noqa: PLC0415 - not in workers
        _MLFLOW_AUTH_ADMIN_BOOTSTRAPPED,
        _MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN,
    )
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from mlflow.server import auth  # noqa: PLC0415

    try:
        auth.get_flask_server_secret_key()
        auth.bootstrap_admin_user()
    except MlflowException as error:
        raise click.ClickException(error.message) from error
    os.environ[_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED.name] = "true"
    os.environ[_MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN.name] = secrets.token_hex(32)


if startup.server_options() is not None:
    _bootstrap()
