"""A thin layer over grafanalib 0.7.1, whose dashboards are what today's Grafana writes itself.

grafanalib describes dashboards as Grafana 6 to 9 stored them: of that, today's Grafana migrates
some, ignores some and crashes on some. Each correction names, where it is made, the defect it makes
good. Shapes and defaults are those of Grafana's published schema:
https://github.com/grafana/grafana/tree/v12.1.0/packages/grafana-schema
"""

from dashboards.grafana.board import annotation, dashboard, link
from dashboards.grafana.export import exported
from dashboards.grafana.fields import Json, above, below, failing, override, plain, value_names
from dashboards.grafana.panels import (
    Panel,
    heatmap,
    panel_link,
    row,
    stat,
    state_timeline,
    table,
    timeseries,
)
from dashboards.grafana.queries import query, variable
from dashboards.grafana.schema import to_json

__all__ = [
    "Json",
    "Panel",
    "above",
    "annotation",
    "below",
    "dashboard",
    "exported",
    "failing",
    "heatmap",
    "link",
    "override",
    "panel_link",
    "plain",
    "query",
    "row",
    "stat",
    "state_timeline",
    "table",
    "timeseries",
    "to_json",
    "value_names",
    "variable",
]
