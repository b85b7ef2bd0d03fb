"""Load of flowgauge what Airflow's parts load at their start; write what came of it, as JSON."""

import json
import sys

from airflow.plugins_manager import get_plugin_info
from airflow.providers_manager import ProvidersManager

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models import DagBag

providers = ProvidersManager()
bag = DagBag(sys.argv[1])
found = {
    "provider": "flowgauge" in providers.providers,
    "plugin": "flowgauge" in [plugin["name"] for plugin in get_plugin_info(["name"])],
    "dags": sorted(bag.dag_ids),
    "errors": bag.import_errors,
}
sys.stdout.write(f"{json.dumps(found)}\n")
