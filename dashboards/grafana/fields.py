"""Thresholds, names for values, and overrides: what a panel's fields look like."""

from collections.abc import Mapping
from typing import Any

__all__ = ["Json", "above", "below", "failing", "override", "plain", "value_names"]

Json = dict[str, Any]

# Less is shown as 0.0 %.
_SOME = 0.0005


def above(limit: float, *, color: str = "red") -> list[Json]:
    """Return threshold steps: *color* from *limit* on, else green."""
    return [_step("green", None), _step(color, limit)]


def failing(limit: float) -> list[Json]:
    """Return threshold steps of a share that fails: green if none does, red from *limit* on."""
    return [_step("green", None), _step("orange", _SOME), _step("red", limit)]


def below(limit: float) -> list[Json]:
    """Return threshold steps: red under *limit*, else green."""
    return [_step("red", None), _step("green", limit)]


def plain() -> list[Json]:
    """Return the threshold steps of a value that is neither good nor bad."""
    return [_step("blue", None)]


def _step(color: str, value: float | None) -> Json:
    # core.Threshold writes the base step's value as the string "null", which Grafana compares.
    return {"color": color, "value": value}


def value_names(names: Mapping[int, tuple[str, str]] | Mapping[str, tuple[str, str]]) -> list[Json]:
    """Return the mapping that shows each value as its (text, colour)."""
    options = {
        str(value): {"text": text, "color": color, "index": index}
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
