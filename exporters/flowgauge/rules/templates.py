"""Go templates in labels and annotations, as far as they name what an alert has."""

import re
from collections.abc import Iterator

__all__ = ["labels_shown", "shows_value"]

_ACTION = re.compile(r"\{\{((?:[^}]|\}(?!\}))*+)(?:\}\}|\Z)")
# A label that is asked for there may well be missing.
_CONDITION = re.compile(r"(if|else|with|range|end|define|/\*)\b")
_LABEL = re.compile(r"""\$labels\.(\w+)|index\s+\$labels\s+["`]([^"`]+)["`]""")


def labels_shown(text: str) -> list[str]:
    """Return the labels of the alert that the template *text* shows without asking for them."""
    return [dot or index for action in _shown(text) for dot, index in _LABEL.findall(action)]


def shows_value(text: str) -> bool:
    """Return whether the template *text* shows the alert's value, not only compares it."""
    return any("$value" in action or ".Value" in action for action in _shown(text))


def _shown(text: str) -> Iterator[str]:
    # What nobody closes is no action, and would be read again from each brace in it.
    found = (
        each[1].removeprefix("-").removesuffix("-").strip()
        for each in _ACTION.finditer(text)
        if each[0].endswith("}}")
    )
    return (action for action in found if not _CONDITION.match(action))
