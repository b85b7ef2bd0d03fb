"""Dashboards that draw their lines where the environment's alerts fire."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["with_thresholds"]

# What alerts say in seconds, panels may show in minutes or days.
_SECONDS = (1, 60, 24 * 3600)


def with_thresholds(board: str, changed: Mapping[str, tuple[float, float]]) -> str:
    """Return the JSON *board* with the numbers of alerts *changed* from the first to the second.

    Which alerts a panel's numbers are of is said by its description.
    """
    if not changed:
        return board
    content = json.loads(board)
    for panel in content["panels"]:
        said = panel.get("description", "")
        numbers = {
            before / unit: after / unit
            for alert, (before, after) in changed.items()
            if alert in said
            for unit in _SECONDS
        }
        for step in _steps(panel):
            step["value"] = numbers.get(step["value"], step["value"])
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _steps(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the steps of all thresholds within *node*."""
    match node:
        case {"mode": "absolute", "steps": [*steps]}:
            yield from steps
        case dict():
            for one in node.values():
                yield from _steps(one)
        case list():
            for one in node:
                yield from _steps(one)
