"""Thresholds, names for values, and overrides: what a panel's fields look like."""

from collections.abc import Mapping
from typing import Any

__all__ = ["Json", "above", "below", "override", "plain", "value_names"]

Json = dict[str, Any]

GREEN, AMBER, RED, BLUE = "green", "orange", "red", "blue"


def above(limit: float, *, warn: float | None = None) -> list[Json]:
    """Return threshold steps: red from *limit* on, amber from *warn* on, else green."""
    steps = [_step(GREEN, None), _step(RED, limit)]
    if warn is not None:
        steps.insert(1, _step(AMBER, warn))
    return steps


def below(limit: float) -> list[Json]:
    """Return threshold steps: red under *limit*, else green."""
    return [_step(RED, None), _step(GREEN, limit)]


def plain(color: str = BLUE) -> list[Json]:
    """Return the threshold steps of a value that is neither good nor bad."""
    return [_step(color, None)]


def _step(color: str, value: float | None) -> Json:
    # core.Threshold writes the base step's value as the string "null", which Grafana compares.
    return {"color": color, "value": value}


def value_names(names: Mapping[float, tuple[str, str]]) -> list[Json]:
    """Return the mapping that shows each value as its (text, colour)."""
    options = {
        f"{value:g}": {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(names.items())
    }
    return [{"type": "value", "options": options}]


def override(matcher: str, pattern: str, **properties: Any) -> Json:
    """Return an override for fields that *matcher* (`byName`, `byRegexp`) picks by *pattern*.

    A property is named as in Grafana's field configuration, `custom.` written as `custom_`.
    """
    return {
        "matcher": {"id": matcher, "options": pattern},
        "properties": [
            {"id": name.replace("custom_", "custom."), "value": value}
            for name, value in properties.items()
        ],
    }
