"""A whole dashboard: its layout, links, annotations and settings."""

from collections.abc import Sequence
from typing import Any

import attr
from grafanalib import core

from dashboards.grafana.fields import Json
from dashboards.grafana.panels import Panel
from dashboards.grafana.queries import DATASOURCE, datasource_variable
from dashboards.grafana.schema import SCHEMA_VERSION

__all__ = ["annotation", "dashboard", "link"]

_GRID_COLUMNS = 24


def link(title: str, url: str) -> Any:
    """Return a link in the dashboard's head; one to a dashboard of ours takes the time along."""
    return core.DashboardLink(
        type="link",
        title=title,
        uri=url,
        icon="dashboard" if url.startswith("/") else "doc",
        keepTime=url.startswith("/"),
        targetBlank=not url.startswith("/"),
    )


def annotation(
    name: str, expression: str, *, color: str, title: str, text: str, tags: Sequence[str]
) -> Json:
    """Return the annotation that marks when *expression* had series, by what their labels say."""
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "expr": expression,
        "iconColor": color,
        "titleFormat": title,
        "textFormat": text,
        "tagKeys": ",".join(tags),
        "step": "30s",
    }


def dashboard(
    uid: str,
    title: str,
    description: str,
    *,
    variables: Sequence[Any],
    panels: Sequence[Panel],
    links: Sequence[Any],
    annotations: Sequence[Json],
    time: str = "now-1h",
    refresh: str = "30s",
) -> Any:
    """Return a dashboard whose panels flow from left to right and from top to bottom."""
    return core.Dashboard(
        uid=uid,
        title=title,
        description=description,
        tags=["flowgauge", "mlflow"],
        editable=False,
        graphTooltip=core.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
        schemaVersion=SCHEMA_VERSION,
        time=core.Time(time, "now"),
        timezone="browser",
        refresh=refresh,
        templating=core.Templating([datasource_variable(), *variables]),
        annotations=core.Annotations(list(annotations)),
        links=list(links),
        panels=_flow(panels),
    ).auto_panel_ids()


def _flow(panels: Sequence[Panel]) -> list[Panel]:
    placed = []
    x = y = tallest = 0
    for panel in panels:
        size = panel.gridPos
        if x + size.w > _GRID_COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        placed.append(attr.evolve(panel, gridPos=attr.evolve(size, x=x, y=y)))
        x, tallest = x + size.w, max(tallest, size.h)
    return placed
