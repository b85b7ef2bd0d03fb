"""Putting the dashboards into a Grafana over its HTTP API."""

from flowgauge.grafana.client import GrafanaClient, GrafanaError
from flowgauge.grafana.importing import Outcome, import_dashboard, read_dashboards

__all__ = ["GrafanaClient", "GrafanaError", "Outcome", "import_dashboard", "read_dashboards"]
