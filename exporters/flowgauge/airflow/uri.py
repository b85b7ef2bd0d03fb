"""Which MLflow, as a task sees it: Airflow has a say."""

import json
import os
from collections.abc import Callable, Mapping, MutableMapping
from urllib.parse import quote

from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.host.services import Connection, get_connection, get_variable
from flowgauge.airflow.provider import HEADERS_FIELD, TOKEN_FIELD
from flowgauge.tracking.headers import MLFLOW_HEADERS, parse_headers
from flowgauge.tracking.uri import MLFLOW_TRACKING_URI, TrackingUri, require_tracking_uri

__all__ = [
    "DEFAULT_CONNECTION",
    "ask_airflow",
    "configure_mlflow",
    "find_tracking_uri",
    "tracking_uri",
    "uri_of",
]

_CONNECTION_ID = "FLOWGAUGE_MLFLOW_CONN_ID"
DEFAULT_CONNECTION = "mlflow_default"
# A secrets backend (Vault, a cloud's) may have to log in first.
_LONGEST_SECONDS = 5.0
_WEB = ("http", "https")
_LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def tracking_uri(seconds: float = _LONGEST_SECONDS) -> str:
    """Return the tracking URI that `log_with_mlflow` uses, a Connection's login included.

    An Airflow that has not answered after *seconds*, or five, has none. Raises `UsageError` if no
    place has one.
    """
    return find_tracking_uri(seconds).value


def configure_mlflow(
    seconds: float = _LONGEST_SECONDS, environ: MutableMapping[str, str] = os.environ
) -> None:
    """Let MLflow's own functions use the MLflow that `log_with_mlflow` uses, login included.

    It is left in *environ*, by default that of the process: MLflow, imported before or after, finds
    it there, and so do the programs that the task starts. Takes at most *seconds*, or five. Raises
    `UsageError` as `tracking_uri` does.
    """
    found = find_tracking_uri(seconds)
    environ[MLFLOW_TRACKING_URI] = found.value
    if found.headers:
        environ[MLFLOW_HEADERS] = found.headers
    if "Authorization" in json.loads(found.headers or "{}"):
        # MLflow would put them in its place.
        for name in _LOGIN:
            environ.pop(name, None)


def find_tracking_uri(seconds: float = _LONGEST_SECONDS) -> TrackingUri:
    """Return the same with the place it comes from."""
    return require_tracking_uri(
        ask_airflow=lambda: ask_airflow(Deadline(min(seconds, _LONGEST_SECONDS)))
    )


def ask_airflow(
    deadline: Deadline,
    environ: Mapping[str, str] = os.environ,
    read_connection: Callable[[str, float], Connection | None] = get_connection,
    read_variable: Callable[[str, float], str | None] = get_variable,
) -> TrackingUri | None:
    """Return the URI of the Connection `mlflow_default`, else of the Variable, if Airflow has one.

    FLOWGAUGE_MLFLOW_CONN_ID in *environ* names another Connection. Airflow is asked in this
    process, or as *read_connection* and *read_variable* do, given a name and seconds to wait.
    """
    conn_id = environ.get(_CONNECTION_ID) or DEFAULT_CONNECTION
    connection = read_connection(conn_id, deadline.left)
    if connection and connection.host:
        return uri_of(connection, f"the Airflow Connection {conn_id}")
    if value := read_variable(MLFLOW_TRACKING_URI, deadline.left):
        return TrackingUri(value, f"the Airflow Variable {MLFLOW_TRACKING_URI}")
    return None


def uri_of(connection: Connection, source: str) -> TrackingUri:
    """Return where a Connection says that MLflow is, with its login, token and headers.

    A token and a login are two logins: the token counts if there is no login. Raises `UsageError`
    for extra fields that are none, which *source* names.
    """
    extra = connection.extra_dejson
    headers = dict(parse_headers(extra.get(HEADERS_FIELD), f"{HEADERS_FIELD} of {source}"))
    token = str(extra.get(TOKEN_FIELD) or "").strip()
    if token and not (connection.login and connection.password):
        headers = {**parse_headers({"Authorization": f"Bearer {token}"}, source), **headers}
    return TrackingUri(_uri(connection), source, json.dumps(headers) if headers else "")


def _uri(connection: Connection) -> str:
    """Put the fields together as Airflow's own HTTP hook does.

    The host may be a whole address. `schema` is http or https; of a Connection that was given as
    one URL, it is the path.
    """
    scheme, _, address = (connection.host or "").rpartition("://")
    schema = connection.schema or ""
    path = "" if schema in _WEB else f"/{schema}"
    if not scheme:
        kind = connection.conn_type or ""
        scheme = schema if schema in _WEB else kind if kind in _WEB else "http"
    login = f"{quote(connection.login, safe='')}" if connection.login else ""
    if login and connection.password:
        login += f":{quote(connection.password, safe='')}"
    port = f":{connection.port}" if connection.port else ""
    host, slash, rest = address.partition("/")
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"  # Airflow takes the brackets of a URL away
    return f"{scheme}://{login}{login and '@'}{host}{port}{slash}{rest}{path}".rstrip("/")
