"""The form in which Grafana exports a dashboard for sharing, which Grafana.com takes.

An import asks for every input, and puts the answer wherever `${NAME}` stands.
https://grafana.com/docs/grafana/latest/dashboards/share-dashboards-panels/#export-dashboards
"""

from collections.abc import Iterator

from dashboards.grafana.fields import Json
from dashboards.grafana.queries import DATASOURCE
from dashboards.grafana.schema import PLUGIN_VERSION

__all__ = ["INPUT", "exported"]

INPUT = "DS_PROMETHEUS"
"""The data source, as an import asks for it."""

_PANELS = {
    "heatmap": "Heatmap",
    "stat": "Stat",
    "state-timeline": "State timeline",
    "table": "Table",
    "timeseries": "Time series",
}


def exported(board: Json) -> Json:
    """Return *board* for others: it asks for the data source, and says what it needs."""
    answer = f"${{{INPUT}}}"
    first, *others = board["templating"]["list"]
    # The choice stays, and begins with what the import was told.
    chosen = {**first, "current": {"text": answer, "value": answer}}
    source = {"type": "datasource", "pluginId": DATASOURCE["type"], "pluginName": "Prometheus"}
    return {
        **board,
        "__inputs": [{"name": INPUT, "label": "Prometheus", "description": "", **source}],
        "__elements": {},
        "__requires": sorted(_required(board), key=lambda part: part["id"]),
        "id": None,
        "templating": {"list": [chosen, *others]},
    }


def _required(board: Json) -> Iterator[Json]:
    yield {"type": "grafana", "id": "grafana", "name": "Grafana", "version": PLUGIN_VERSION}
    yield {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"}
    for kind in {panel["type"] for panel in _panels(board)} - {"row"}:
        yield {"type": "panel", "id": kind, "name": _PANELS[kind], "version": ""}


def _panels(board: Json) -> Iterator[Json]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())
