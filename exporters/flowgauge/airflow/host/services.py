"""What Airflow keeps for its tasks: Variables, Connections, XCom."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from flowgauge.airflow.host.asking import Asking
from flowgauge.airflow.host.names import airflow_is_loaded, airflow_name

__all__ = [
    "Connection",
    "as_connection",
    "get_connection",
    "get_variable",
    "push_xcom",
    "set_variable",
]

_T = TypeVar("_T")

# Each takes 5 to 35 ms.
_PATIENCE_SECONDS = 0.5
_airflow = Asking("Airflow")


@dataclass(frozen=True)
class Connection:
    """An Airflow Connection; what it does not say is None or empty.

    `extra_dejson` is Airflow's name for its extra fields: asked for by that name, Airflow keeps
    those that look like secrets out of its logs.
    """

    conn_type: str | None
    host: str | None
    port: int | None
    schema: str | None
    login: str | None
    password: str | None = field(repr=False)
    extra_dejson: Mapping[str, Any] = field(repr=False)


def get_variable(name: str, seconds: float = _PATIENCE_SECONDS) -> str | None:
    """Return the value of the Variable *name*; None also if there is no such Variable."""

    def read() -> str | None:
        variable = airflow_name("Variable")
        value: str | None
        try:
            value = variable.get(name, default=None)
        except TypeError:
            # Airflow 2
            value = variable.get(name, default_var=None)
        return value

    return _ask(f"Reading the Variable {name}", read, seconds)


def set_variable(name: str, value: str, description: str) -> bool:
    """Set the Variable *name*; return whether it is set now."""

    def write() -> bool:
        airflow_name("Variable").set(name, value, description)
        return True

    return bool(_ask(f"Setting the Variable {name}", write, _PATIENCE_SECONDS))


def get_connection(conn_id: str, seconds: float = _PATIENCE_SECONDS) -> Connection | None:
    """Return the Connection *conn_id*; None also if there is no such Connection."""

    def read() -> Connection:
        connection = airflow_name("Connection")
        # Airflow 2's has no `get`.
        get = getattr(connection, "get", None) or connection.get_connection_from_secrets
        return as_connection(get(conn_id))

    return _ask(f"Reading the Connection {conn_id}", read, seconds)


def as_connection(found: Any) -> Connection:
    """Return what Airflow's own Connection object says."""
    return Connection(**{each.name: getattr(found, each.name) for each in fields(Connection)})


def push_xcom(instance: Any, key: str, value: str, seconds: float = _PATIENCE_SECONDS) -> bool:
    """Leave *value* for others as the task *instance*; return whether that is done."""

    def push() -> bool:
        instance.xcom_push(key=key, value=value)
        return True

    return bool(_ask(f"Pushing the XCom {key}", push, seconds))


def _ask(what: str, question: Callable[[], _T], seconds: float) -> _T | None:
    return _airflow.ask(what, question, seconds) if airflow_is_loaded() else None
