"""From grafanalib's JSON to the JSON that today's Grafana writes itself."""

import json
from collections.abc import Sequence
from typing import Any

from grafanalib._gen import DashboardEncoder

from dashboards.grafana.fields import Json

__all__ = ["PLUGIN_VERSION", "SCHEMA_VERSION", "to_json"]

# grafanalib's default, 12, makes Grafana run thirty migrations written for Angular panels. With a
# current number it runs none, so everything they would have filled in is written out.
SCHEMA_VERSION = 41
PLUGIN_VERSION = "12.1.0"

# What Grafana 12 knows. grafanalib also writes keys of panels and dashboards long gone, such as
# rows, sharedCrosshair, cards and fontSize.
_DASHBOARD_KEYS = (
    "annotations", "description", "editable", "graphTooltip", "links", "panels", "refresh",
    "schemaVersion", "tags", "templating", "time", "timepicker", "timezone", "title", "uid",
    "version",
)  # fmt: skip
_PANEL_KEYS = (
    "id", "type", "title", "description", "datasource", "gridPos", "targets", "fieldConfig",
    "options", "transformations",
)  # fmt: skip
_ROW_KEYS = ("id", "type", "title", "gridPos", "collapsed", "panels")
_TARGET_KEYS = ("refId", "datasource", "expr", "legendFormat", "format", "instant")
_VARIABLE_KEYS = (
    "name", "label", "type", "query", "datasource", "current", "hide", "includeAll", "allValue",
    "multi", "options", "refresh", "regex", "sort",
)  # fmt: skip


def to_json(board: Any) -> Json:
    """Return *board* as Grafana's dashboard JSON."""
    raw: Json = json.loads(json.dumps(board.to_json_data(), cls=DashboardEncoder))
    kept = _only(raw, _DASHBOARD_KEYS)
    kept["panels"] = [_panel_json(panel) for panel in raw["panels"]]
    kept["templating"] = {"list": [_variable_json(each) for each in raw["templating"]["list"]]}
    kept["timepicker"] = {"refresh_intervals": raw["timepicker"]["refresh_intervals"]}
    cleaned: Json = _without_nulls(kept)
    return cleaned


def _panel_json(panel: Json) -> Json:
    if panel["type"] == "row":
        return _only(panel, _ROW_KEYS)
    kept = _only(panel, _PANEL_KEYS)
    kept["targets"] = [
        {**_only(target, _TARGET_KEYS), "range": not target["instant"], "editorMode": "code"}
        for target in panel["targets"]
    ]
    if panel.get("links"):
        kept["links"] = panel["links"]
    # A panel without it is taken for one of Grafana 6 and migrated from there.
    kept["pluginVersion"] = PLUGIN_VERSION
    return kept


def _variable_json(variable: Json) -> Json:
    kept = _only(variable, _VARIABLE_KEYS)
    if variable["type"] == "datasource":
        kept["current"] = {"text": "default", "value": "default"}
        return kept
    chosen = variable["current"]["value"]
    kept["current"] = {
        "text": ["All" if value == "$__all" else value for value in chosen],
        "value": chosen,
    }
    kept["definition"] = variable["query"]
    kept["query"] = {"query": variable["query"], "refId": f"variable-{variable['name']}"}
    kept["regex"] = ""
    return kept


def _only(data: Json, keys: Sequence[str]) -> Json:
    return {key: data[key] for key in keys}


def _without_nulls(data: Any) -> Any:
    """Leave out nulls, except the one that means something: a threshold's base value."""
    if isinstance(data, dict):
        return {
            key: _without_nulls(value)
            for key, value in data.items()
            if value is not None or key == "value"
        }
    if isinstance(data, list):
        return [_without_nulls(value) for value in data]
    return data
