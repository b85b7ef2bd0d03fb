"""Write what Airflow makes of flowgauge as a provider: a line of JSON."""

import json
import logging
import sys
import warnings
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import jsonschema
from airflow.providers_manager import ProvidersManager

from flowgauge.airflow.provider import get_provider_info

said: list[str] = []


class Listening(logging.Handler):
    """Keeps what Airflow warns of."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        said.append(record.getMessage())


def known() -> tuple[Any, Any, Any]:
    """Return hooks, further fields and forms as the UI knows them."""
    if version("apache-airflow").startswith("3.1."):
        # It has no declarations yet, and does without the packages of Airflow 2's UI.
        service = import_module("airflow.api_fastapi.core_api.services.ui.connections")
        found: tuple[Any, Any, Any] = service.HookMetaService._get_hooks_with_mocked_fab()
        return found
    manager = ProvidersManager()
    return manager.hooks, manager.connection_form_widgets, manager.field_behaviours


def hides(widget: Any) -> bool:
    """Return whether what is typed into a field is hidden."""
    return bool(widget.is_sensitive) or getattr(widget.field, "param_format", None) == "password"


for name in ("airflow.providers_manager", "airflow.utils.providers_configuration_loader"):
    logging.getLogger(name).addHandler(Listening(logging.WARNING))
schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
jsonschema.validate(get_provider_info(), schema)
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    hooks, widgets, behaviours = known()
hook, behaviour = hooks["mlflow"], behaviours["mlflow"]
ours = {name: widgets[name] for name in widgets if name.startswith("extra__mlflow__")}
found = {
    "hook": [hook.hook_name, hook.connection_id_attribute_name, hook.connection_testable],
    "fields": {name: hides(widget) for name, widget in ours.items()},
    "hidden": behaviour["hidden_fields"],
    "labels": behaviour["relabeling"],
    "said": [*said, *(str(each.message) for each in warned if "flowgauge" in str(each.message))],
}
sys.stdout.write(f"{json.dumps(found)}\n")
