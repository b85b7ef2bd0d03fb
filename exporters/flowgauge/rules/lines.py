"""Where rules stand in their files, for annotations."""

import re
from collections.abc import Mapping

from flowgauge.rules.files import Source

__all__ = ["rule_lines"]


def rule_lines(source: Source) -> Mapping[int, int]:
    """Return the line, from 1, of each rule of *source* by the rule's `id()`."""
    lines = source.path.read_text(encoding="utf-8").splitlines()
    found: dict[int, int] = {}
    position = 0
    for rule in source.file.rules:
        name = re.compile(rf"""\b(alert|record)["']?\s*:\s*["']?{re.escape(rule.name)}(?![\w:])""")
        here = next((at for at in range(position, len(lines)) if name.search(lines[at])), None)
        # Written in a way that is not known here: the one before it is near.
        position = position if here is None else here + 1
        found[id(rule)] = max(position, 1)
    return found
