"""The Airflow hook of the connection type `mlflow`."""

from typing import Any

from flowgauge.airflow.host.names import airflow_name
from flowgauge.airflow.host.services import as_connection
from flowgauge.airflow.provider import CONN_FIELDS, CONN_TYPE, HOOK_NAME, UI_FIELD_BEHAVIOUR
from flowgauge.airflow.uri import DEFAULT_CONNECTION, uri_of
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.queries import Queries

__all__ = ["MlflowHook"]

_BaseHook: Any = airflow_name("BaseHook")


class MlflowHook(_BaseHook):  # type: ignore[misc] # Airflow is not followed by mypy
    """The MLflow that an Airflow Connection names."""

    conn_name_attr = "mlflow_conn_id"
    default_conn_name = DEFAULT_CONNECTION
    conn_type = CONN_TYPE
    hook_name = HOOK_NAME

    def __init__(self, mlflow_conn_id: str = default_conn_name, **options: Any) -> None:
        super().__init__(**options)
        self.mlflow_conn_id = mlflow_conn_id

    def get_conn(self) -> TrackingClient:
        """Return a client of MLflow's REST API, logged in as the Connection says.

        Raises `UsageError` for a Connection that names no server. MLflow's own functions are told
        by `flowgauge.airflow.configure_mlflow` instead.
        """
        connection = as_connection(self.get_connection(self.mlflow_conn_id))
        source = f"the Airflow Connection {self.mlflow_conn_id}"
        if not connection.host:
            raise UsageError(f"{source} has no host: give MLflow's")
        uri = uri_of(connection, source)
        return TrackingClient(uri.value, environ=uri.environ())

    def test_connection(self) -> tuple[bool, str]:
        """Make a real API call, for the button *Test* and `airflow connections test`."""
        try:
            with self.get_conn() as client:
                Queries(client).probe()
                return True, f"MLflow at {client.address} allows API calls"
        except FlowgaugeError as error:
            return False, str(error)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Describe the form's own fields to Airflow before 3.2."""
        return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Describe the further fields to Airflow before 3.2, which has these packages, or mocks."""
        from flask_appbuilder.fieldwidgets import (  # noqa: PLC0415
            BS3PasswordFieldWidget,
            BS3TextFieldWidget,
        )
        from wtforms import PasswordField, StringField  # noqa: PLC0415

        fields = {
            True: (PasswordField, BS3PasswordFieldWidget),
            False: (StringField, BS3TextFieldWidget),
        }
        widgets = {}
        for name, described in CONN_FIELDS.items():
            field, widget = fields[described["schema"].get("format") == "password"]
            widgets[name] = field(
                described["label"], description=described["description"], widget=widget()
            )
        return widgets
