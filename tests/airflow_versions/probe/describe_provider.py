"""Write what Airflow makes of flowgauge as a provider: a line of JSON."""

import json
import logging
import sys
import warnings
from importlib.resources import files

import jsonschema
from airflow.providers_manager import ProvidersManager

from flowgauge.airflow.provider import get_provider_info

said: list[str] = []


class Listening(logging.Handler):
    """Keeps what Airflow warns of."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        said.append(record.getMessage())


for name in ("airflow.providers_manager", "airflow.utils.providers_configuration_loader"):
    logging.getLogger(name).addHandler(Listening(logging.WARNING))
schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
jsonschema.validate(get_provider_info(), schema)
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    manager = ProvidersManager()
    hook = manager.hooks["mlflow"]
    widgets = manager.connection_form_widgets
    behaviour = manager.field_behaviours["mlflow"]
ours = {name: widgets[name] for name in widgets if name.startswith("extra__mlflow__")}
found = {
    "hook": [hook.hook_name, hook.connection_id_attribute_name, hook.connection_testable],
    "fields": {name: widget.is_sensitive for name, widget in ours.items()},
    "hidden": behaviour["hidden_fields"],
    "labels": behaviour["relabeling"],
    "said": [*said, *(str(each.message) for each in warned if "flowgauge" in str(each.message))],
}
sys.stdout.write(f"{json.dumps(found)}\n")
