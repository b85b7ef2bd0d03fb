"""From what went wrong on the wire to an error: one sentence with the cure."""

import re
import socket
import ssl
from base64 import b64decode
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from flowgauge.dag_headers import DAG_ID_HEADER, TASK_ID_HEADER
from flowgauge.http_client import TooLongError, causes, json_object, why
from flowgauge.light_httpx import httpx
from flowgauge.redact import quote, without
from flowgauge.tracking.errors import (
    TrackingError,
    TrackingNotMlflowError,
    TrackingRejectedError,
    TrackingTimedOutError,
    TrackingTooLongError,
    TrackingUnauthorizedError,
    TrackingUnavailableError,
    TrackingUnreachableError,
)
from flowgauge.tracking.settings import WORKSPACE_HEADER

__all__ = [
    "is_database_problem",
    "not_mlflow",
    "refusal",
    "timed_out",
    "unanswered",
    "without_login",
]

# MLflow answers with 400 what its database says but for OperationalError, in SQLAlchemy's words
# (measured on 3.17). Not the payload's fault are a drained pool, a database that is read-only for a
# while, a schema that is not the server's. https://docs.sqlalchemy.org/errors.html has the codes.
_DATABASE_PROBLEM = re.compile(
    r"QueuePool limit|ReadOnlySqlTransaction|InFailedSqlTransaction"
    r"|sqlalche\.me/e/\w+/(?:2j85|3o7r|4xp6|8s2b|e3q8|f405)"
)
# As mlflow/server/workspace_helpers.py and mlflow/store/workspace_aware_mixin.py say it, from 3.10
# on, with 400, 404 and 500: neither the payload's fault nor the server's.
_WORKSPACES = {
    "Active workspace is required": "wants a workspace and was given none: set MLFLOW_WORKSPACE",
    "Workspace '[^']*' not found": "has no such workspace: correct MLFLOW_WORKSPACE",
    "workspaces are not enabled": "has no workspaces and was given one: unset MLFLOW_WORKSPACE",
}
# Of the headers that are sent; others are the user's, a key perhaps.
_NO_SECRETS = {
    *("accept", "accept-encoding", "connection", "content-length", "content-type", "host"),
    *("user-agent", WORKSPACE_HEADER.lower(), DAG_ID_HEADER.lower(), TASK_ID_HEADER.lower()),
}
_LONGEST_RETRY_AFTER_SECONDS = 3600.0
_LOGIN_PAGE = re.compile(r"type=[\"']?password|\b(log|sign)[ -]?in\b", re.IGNORECASE)


def timed_out(address: str, seconds: float) -> TrackingTimedOutError:
    """Return the error for no answer within *seconds*."""
    return TrackingTimedOutError(
        f"MLflow at {address} did not answer within {seconds:g} s: "
        "see whether the server is overloaded or a firewall drops the packets"
    )


def unanswered(address: str, error: httpx.RequestError) -> TrackingError:
    """Return the error for a request without an answer that could be read, because of *error*."""
    if isinstance(error, TooLongError):
        return TrackingTooLongError(
            f"what answers at {address} cannot be read, {error}: see whether that is MLflow"
        )
    return TrackingUnreachableError(f"MLflow at {address} {_why_unreachable(error)}")


def _why_unreachable(error: httpx.RequestError) -> str:
    for cause in causes(error):
        match cause:
            case socket.gaierror():
                return "cannot be found: its host name does not resolve, correct the tracking URI"
            case ConnectionRefusedError():
                return "refuses the connection: start the server or correct the port"
            case ssl.SSLError():
                return _why_no_tls(cause)
    reason = why(error)
    if isinstance(error, httpx.ProxyError):
        return f"cannot be reached through the proxy ({reason}): correct HTTPS_PROXY or NO_PROXY"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return "broke off without an answer: it may be restarting, or want https://"
    return f"cannot be reached ({reason}): correct the tracking URI"


def _why_no_tls(error: ssl.SSLError) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"shows a certificate that is not trusted ({error.verify_message}): "
                "set MLFLOW_TRACKING_SERVER_CERT_PATH to the CA's certificate"
            )
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            return "does not speak TLS: use http:// in the tracking URI"
        case _:
            return (
                f"ended the TLS handshake ({error.reason or 'no reason given'}): it may want "
                "a client certificate, set MLFLOW_TRACKING_CLIENT_CERT_PATH"
            )


def refusal(address: str, response: httpx.Response) -> TrackingError | None:
    """Return the error an answer stands for, None for a success."""
    if response.is_success:
        return None
    status = response.status_code
    said = json_object(response) or {}
    told = str(said.get("message", "")) or response.text
    message = quote(without_login(told, response.request))
    workspace = _wrong_workspace(told) if "error_code" in said else None
    if workspace or status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        refused = workspace or _kept_out(response, message)
        return TrackingUnauthorizedError(f"MLflow at {address} {refused}")
    if status == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
        return TrackingUnreachableError(
            f"MLflow at {address} cannot be reached: the proxy on the way wants a login, put it "
            "into HTTP_PROXY, http://USER:PASSWORD@HOST:PORT"
        )
    if _temporary(status, told):
        error = TrackingUnavailableError(
            f"MLflow at {address} cannot answer now ({status}: {message}): "
            "see its log, and try again later"
        )
        error.retry_after_seconds = _retry_after(response)
        return error
    if "error_code" in said or status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        code = str(said.get("error_code", "REQUEST_ENTITY_TOO_LARGE"))
        error_code = quote(without_login(code, response.request), 80)
        return TrackingRejectedError(
            f"MLflow at {address} refused {response.request.url.path} "
            f"({status} {error_code}): {message}",
            status=status,
            error_code=error_code,
            message=message,
        )
    return not_mlflow(address, response)


def _wrong_workspace(told: str) -> str | None:
    return next((cure for said, cure in _WORKSPACES.items() if re.search(said, told)), None)


def _kept_out(response: httpx.Response, message: str) -> str:
    given = response.request.headers.get("authorization", "")
    if response.status_code == httpx.codes.FORBIDDEN:
        return (
            f"forbids it ({message}): give the user permission, or, if it "
            "names the Host header, start the server with --allowed-hosts"
        )
    if not given:
        return (
            "wants a login and was given none: set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN or FLOWGAUGE_MLFLOW_TOKEN_FILE"
        )
    if given.startswith("Bearer "):
        return (
            "does not accept the login it was given, a token: correct MLFLOW_TRACKING_TOKEN, "
            "or what FLOWGAUGE_MLFLOW_TOKEN_FILE or MLFLOW_TRACKING_AUTH names"
        )
    return (
        "does not accept the login it was given, a user and a password: correct "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or those in the tracking URI, "
        "which win"
    )


def not_mlflow(address: str, response: httpx.Response) -> TrackingNotMlflowError:
    """Return the error for an answer that is not MLflow's."""
    path = response.request.url.path
    if response.is_redirect:
        location = response.headers.get("location", "nowhere")
        target = _place(without_login(location, response.request))
        return TrackingNotMlflowError(
            f"MLflow at {address} redirects to {target}: put the address it redirects to "
            "into the tracking URI, or give a login if that is a login page"
        )
    if _LOGIN_PAGE.search(response.text):
        return TrackingNotMlflowError(
            f"what answers at {address} is not MLflow ({response.status_code} for {path}) but a "
            "page where people log in: give a login that it accepts without a browser, such as "
            "MLFLOW_TRACKING_TOKEN, or the address of the server behind it"
        )
    return TrackingNotMlflowError(
        f"what answers at {address} is not MLflow ({response.status_code} for {path}): correct "
        "the tracking URI, its path is the server's --static-prefix"
    )


def without_login(told: str, request: httpx.Request) -> str:
    """Return what was *told* without the login, or a gateway's key, that the *request* had."""
    secrets = [value for name, value in request.headers.items() if name not in _NO_SECRETS]
    _, _, login = request.headers.get("authorization", "").partition(" ")
    secrets.append(login)
    with suppress(ValueError):
        secrets.append(b64decode(login, validate=True).decode().partition(":")[2])
    return without(told, secrets)


def _place(location: str) -> str:
    """Return where a redirect leads, without what carries the state of a login, or a token."""
    try:
        parts = urlsplit(location)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "what is no address"
    host = f"{parts.scheme or 'http'}://{parts.hostname}{port}" if parts.hostname else ""
    return quote(f"{host}{re.split('[;@]', parts.path, maxsplit=1)[0]}")


def _temporary(status: int, message: str) -> bool:
    return (
        status in {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}
        # What a server does not do today it does not do tomorrow.
        or (status >= httpx.codes.INTERNAL_SERVER_ERROR and status != httpx.codes.NOT_IMPLEMENTED)
        or (status == httpx.codes.BAD_REQUEST and is_database_problem(message))
    )


def is_database_problem(message: str) -> bool:
    """Return whether MLflow's *message* is of its database, not of what it was asked to store."""
    return _DATABASE_PROBLEM.search(message) is not None


def _retry_after(response: httpx.Response) -> float | None:
    # Seconds or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    said = response.headers.get("retry-after", "")
    try:
        seconds = float(said) if said.isdecimal() else _seconds_until(said)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_SECONDS)


def _seconds_until(date: str) -> float:
    return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
