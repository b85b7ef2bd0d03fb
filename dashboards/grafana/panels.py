"""The kinds of panel the dashboards are made of, each with the looks they all share."""

from collections.abc import Mapping, Sequence
from typing import Any

import attr
from grafanalib import core

from dashboards.grafana.fields import Json, override, plain
from dashboards.grafana.queries import DATASOURCE, query

__all__ = ["Panel", "heatmap", "panel_link", "row", "stat", "state_timeline", "table", "timeseries"]

# grafanalib carries no types.
Panel = Any

_HIDDEN_NOWHERE = {"legend": False, "tooltip": False, "viz": False}


def timeseries(
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Any],
    *,
    width: int = 12,
    height: int = 8,
    thresholds: Sequence[Json] = (),
    stacked: bool = False,
    table_legend: bool = False,
    minimum: float | None = 0,
    maximum: float | None = None,
    no_value: str | None = None,
    overrides: Sequence[Json] = (),
    links: Sequence[Json] = (),
) -> Panel:
    """Return lines over time, with a dashed line at each of the *thresholds*.

    *no_value* is what it says when there is no data and that is no fault; *links* are
    `panel_link`s.
    """
    defaults: Json = {
        "noValue": no_value,
        # core.TimeSeries takes whole numbers only.
        "min": minimum,
        "max": maximum,
        "custom": {
            "axisBorderShow": False,
            "axisCenteredZero": False,
            "axisColorMode": "text",
            "gradientMode": "none" if stacked else "opacity",
            "insertNulls": False,
            "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        },
    }
    legend = {
        # Without showLegend Grafana draws no legend; only the migration to version 37 adds it.
        "showLegend": True,
        "displayMode": "table" if table_legend else "list",
        "placement": "right" if table_legend else "bottom",
        "calcs": ["lastNotNull", "max"] if table_legend else [],
    }
    return core.TimeSeries(
        **_common(title, description, queries, width, height),
        unit=unit,
        lineWidth=1,
        fillOpacity=40 if stacked else 10,
        showPoints="never",
        thresholds=list(thresholds or plain()),
        thresholdsStyleMode="dashed" if thresholds else "off",
        tooltipMode="multi",
        tooltipSort="desc",
        overrides=list(overrides),
        links=list(links),
        extraJson={"fieldConfig": {"defaults": defaults}, "options": {"legend": legend}},
    )


def panel_link(title: str, uid: str) -> Json:
    """Return a link from a panel to the dashboard *uid*; data source and time go along."""
    address = (
        f"/d/{uid}?${{datasource:queryparam}}&${{environment:queryparam}}&${{cluster:queryparam}}"
    )
    address += "&${namespace:queryparam}&${__url_time_range}"
    return {"title": title, "url": address}


def stat(
    title: str,
    description: str,
    unit: str,
    expression: str,
    thresholds: Sequence[Json],
    *,
    no_value: str,
    width: int = 4,
    height: int = 4,
    decimals: int | None = None,
    mappings: Sequence[Json] = (),
) -> Panel:
    """Return one big number, as it is now, on the colour of its threshold.

    *no_value* is what it says when there is no number.
    """
    return core.Stat(
        **_common(title, description, [query(expression, instant=True)], width, height),
        format=unit,
        reduceCalc="lastNotNull",
        graphMode="none",
        colorMode="background",
        # core.Stat's default, "", makes Grafana's panel throw: steps.find is not a function.
        thresholds=_neutral_without_number(thresholds, no_value),
        color={"mode": "thresholds"},
        decimals=decimals,
        mappings=list(mappings),
        noValue=no_value,
        extraJson={
            "options": {
                "percentChangeColorMode": "standard",
                "showPercentChange": False,
                "wideLayout": True,
            }
        },
    )


def _neutral_without_number(steps: Sequence[Json], no_value: str) -> list[Json]:
    """Return threshold *steps* of which green is for numbers alone: that there is none is no good.

    Where *no_value* is a number it stands for one.
    """
    if no_value.isdecimal() or steps[0]["color"] != "green":
        return list(steps)
    return [*plain(), {**steps[0], "value": 0}, *steps[1:]]


def heatmap(
    title: str,
    description: str,
    unit: str,
    expression: str,
    *,
    width: int = 12,
    height: int = 8,
) -> Panel:
    """Return a histogram over time; *expression* is its buckets' increase, `by (le)`."""
    # core.Heatmap describes the Angular panel, which to_json drops; these are today's options.
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "scale": "exponential",
            "exponent": 0.5,
            "fill": "dark-orange",
            "reverse": False,
            "steps": 64,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": True},
        "yAxis": {"axisPlacement": "left", "unit": unit, "reverse": False},
    }
    custom = {"hideFrom": _HIDDEN_NOWHERE, "scaleDistribution": {"type": "linear"}}
    target = attr.evolve(query(expression, "{{le}}"), format="heatmap")
    return core.Heatmap(
        **_common(title, description, [target], width, height),
        options=options,
        thresholds=plain(),
        extraJson={"fieldConfig": {"defaults": {"custom": custom}, "overrides": []}},
    )


def table(
    title: str,
    description: str,
    columns: Mapping[str, tuple[str, str]],
    labels: Mapping[str, str],
    *,
    width: int = 24,
    height: int = 8,
    sort_by: str,
    descending: bool = True,
    no_value: str | None = None,
    overrides: Sequence[Json] = (),
) -> Panel:
    """Return a table with a row per label set.

    *labels* maps a label to its heading, *columns* a heading to its (unit, expression).
    """
    queries = [
        attr.evolve(query(expression, instant=True), format="table")
        for _, expression in columns.values()
    ]
    headings = {f"Value #{_ref_id(index)}": name for index, name in enumerate(columns)}
    order = {name: index for index, name in enumerate([*labels, *headings])}
    units = [override("byName", name, unit=unit) for name, (unit, _) in columns.items()]
    # noValue is for the whole table, but Grafana also writes it into each empty cell.
    cells = [override("byName", name, noValue="-") for name in labels.values() if no_value]
    # core.Table writes displayMode, as Grafana 8 had it, which would win over cellOptions.
    custom = {
        "align": "auto",
        "cellOptions": {"type": "auto"},
        "displayMode": None,
        "filterable": True,
        "inspect": False,
    }
    return core.Table(
        **_common(title, description, queries, width, height),
        thresholds=plain(),
        overrides=[*units, *cells, *overrides],
        sortBy=[core.TableSortByField(sort_by, desc=descending)],
        transformations=[
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "indexByName": order,
                    "renameByName": {**labels, **headings},
                },
            },
        ],
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "custom": custom,
                    "color": {"mode": "thresholds"},
                    "noValue": no_value,
                }
            },
            "options": {"cellHeight": "sm"},
        },
    )


def state_timeline(
    title: str,
    description: str,
    queries: Sequence[Any],
    mappings: Sequence[Json],
    *,
    width: int = 12,
    height: int = 8,
    no_value: str | None = None,
) -> Panel:
    """Return a band per series whose colour is its state over time."""
    custom = {"hideFrom": _HIDDEN_NOWHERE, "insertNulls": False, "spanNulls": False}
    return core.StateTimeline(
        **_common(title, description, queries, width, height),
        fillOpacity=80,
        showValue="never",
        thresholds=plain(),
        mappings=list(mappings),
        extraJson={
            "fieldConfig": {"defaults": {"custom": custom, "noValue": no_value}},
            "options": {"legend": {"showLegend": True}, "tooltip": {"sort": "none"}},
        },
    )


def _common(title: str, description: str, queries: Sequence[Any], width: int, height: int) -> Json:
    return {
        "title": title,
        "description": description,
        "dataSource": DATASOURCE,
        # Every target's refId is "" by default, and Grafana keeps one answer per refId.
        "targets": [attr.evolve(target, refId=_ref_id(i)) for i, target in enumerate(queries)],
        "gridPos": core.GridPos(h=height, w=width, x=0, y=0),
        # 100 points, the default, is a point every 15 pixels on a wide panel.
        "maxDataPoints": None,
    }


def _ref_id(index: int) -> str:
    return chr(ord("A") + index)


def row(title: str) -> Panel:
    """Return the heading of the panels that follow it."""
    return core.RowPanel(title=title, gridPos=core.GridPos(h=1, w=24, x=0, y=0))
