"""What flowgauge, as a provider, tells Airflow about itself.

Entry point group `apache_airflow_provider`:
https://airflow.apache.org/docs/apache-airflow-providers/howto/create-custom-providers.html
"""

from collections.abc import Mapping
from typing import Any

__all__ = [
    "CONN_FIELDS",
    "CONN_TYPE",
    "HEADERS_FIELD",
    "HOOK_NAME",
    "TOKEN_FIELD",
    "UI_FIELD_BEHAVIOUR",
    "get_provider_info",
]

CONN_TYPE = "mlflow"
HOOK_NAME = "MLflow"
TOKEN_FIELD = "token"  # noqa: S105 - the name of a field
HEADERS_FIELD = "secret_headers"

CONN_FIELDS: Mapping[str, Mapping[str, Any]] = {
    TOKEN_FIELD: {
        "label": "Token",
        "description": "Sent as a bearer token; leave login and password empty then.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    # Airflow shows what is called a secret to nobody.
    HEADERS_FIELD: {
        "label": "Headers",
        "description": 'Sent with every request, as JSON: {"X-Team": "data"}',
        "schema": {"type": ["string", "null"]},
    },
}
"""The form's further fields, which Airflow keeps in the Connection's extra."""

UI_FIELD_BEHAVIOUR: Mapping[str, Any] = {
    "hidden-fields": ["extra"],
    "relabeling": {"schema": "Scheme"},
    "placeholders": {
        "host": "mlflow.example.com, or https://example.com/prefix",
        "schema": "https, or http",
        "port": "443",
    },
}


def get_provider_info() -> dict[str, Any]:
    """Return what `airflow providers` and the UI show, in the form of Airflow's own schema."""
    return {
        "package-name": "flowgauge",
        "name": HOOK_NAME,
        "description": "MLflow tracking: a connection type, links to runs, metrics by DAG.",
        "integrations": [
            {
                "integration-name": HOOK_NAME,
                "external-doc-url": "https://mlflow.org/docs/latest/",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {"integration-name": HOOK_NAME, "python-modules": ["flowgauge.airflow.hook"]},
        ],
        "sensors": [
            {"integration-name": HOOK_NAME, "python-modules": ["flowgauge.airflow.sensor"]},
        ],
        "triggers": [
            {"integration-name": HOOK_NAME, "python-modules": ["flowgauge.airflow.trigger"]},
        ],
        "extra-links": ["flowgauge.airflow.plugin.MlflowRunLink"],
        "connection-types": [
            {
                "connection-type": CONN_TYPE,
                "hook-class-name": "flowgauge.airflow.hook.MlflowHook",
                "hook-name": HOOK_NAME,
                # From 3.2 on; before, Airflow asks the hook.
                "conn-fields": CONN_FIELDS,
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
            }
        ],
    }
