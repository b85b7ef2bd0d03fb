"""Dashboards, and the files by which Grafana loads them when it starts."""

from collections.abc import Mapping

from flowgauge.assets import asset
from flowgauge.environment.model import Environment
from flowgauge.links import relink
from flowgauge.render.files import Files, to_yaml
from flowgauge.render.thresholds import with_thresholds

__all__ = ["DASHBOARDS", "grafana_files"]

DASHBOARDS = "grafana/dashboards"
# Where the rendered `grafana` folder is mounted.
_MOUNTED = "/etc/grafana"


def grafana_files(environment: Environment, changed: Mapping[str, tuple[float, float]]) -> Files:
    """Return the dashboards, and Grafana's provisioning: one data source, one folder.

    Thresholds of alerts that are *changed*, from the first number to the second, are in them.
    https://grafana.com/docs/grafana/latest/administration/provisioning/
    """
    dashboards = {
        f"{DASHBOARDS}/{path.name}": with_thresholds(
            relink(path.read_text(), environment.urls.links), changed
        )
        for path in sorted(asset("dashboards").glob("*.json"))
    }
    return {
        **dashboards,
        "grafana/provisioning/dashboards/flowgauge.yaml": _dashboard_provider(),
        "grafana/provisioning/datasources/flowgauge.yaml": _data_source(environment),
    }


def _dashboard_provider() -> str:
    provider = {
        "name": "flowgauge",
        "folder": "flowgauge",
        "type": "file",
        # What is edited in the browser would be lost at the next start.
        "allowUiUpdates": False,
        # While the folder is replaced its files are gone for a moment.
        "disableDeletion": True,
        "options": {"path": f"{_MOUNTED}/dashboards"},
    }
    return to_yaml({"apiVersion": 1, "providers": [provider]})


def _data_source(environment: Environment) -> str:
    source = {
        "name": "Prometheus",
        "uid": "prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": environment.prometheus.url,
        "isDefault": True,
        # Grafana takes no step below it, so $__rate_interval never holds fewer than four scrapes.
        "jsonData": {"timeInterval": environment.prometheus.scrape_interval},
    }
    return to_yaml({"apiVersion": 1, "datasources": [source]})
