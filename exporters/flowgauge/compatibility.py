"""The table of versions that flowgauge was tested with: what a machine ran, not what we hope."""

import json
import re
from pathlib import Path

from flowgauge.assets import asset

__all__ = ["COMPATIBILITY_TABLE", "remark"]

COMPATIBILITY_TABLE = asset("compatibility.json")
"""A list of objects with `part`, `version` and `result` (passed, failed), one a run of tests."""

# How many numbers of a version tell what it can do; those behind count its patches.
_TELLING = {"postgresql": 1}
_MOST_TELLING = 2


def remark(part: str, version: str, table: Path = COMPATIBILITY_TABLE) -> str:
    """Return what *table* says of *version* of *part*, such as `mlflow`, to be put behind it.

    A version counts as tested if another is that differs by its patches: nobody runs every one.
    Empty if there is no table, or *part* is not in it.
    """
    results = _results(part, table)
    if not results:
        return ""
    if version in results:
        return " (tested)" if results[version] else " (which failed the tests)"
    passed = sorted((each for each, good in results.items() if good), key=_numbers)
    telling = _TELLING.get(part, _MOST_TELLING)
    if near := [each for each in passed if _numbers(each)[:telling] == _numbers(version)[:telling]]:
        return f" (tested as {near[-1]})"
    return f" (not tested; tested are {', '.join(passed) or 'none'})"


def _results(part: str, table: Path) -> dict[str, bool]:
    """Return whether everything passed, by version."""
    if not table.is_file():
        return {}
    results: dict[str, bool] = {}
    for cell in json.loads(table.read_text()):
        if cell["part"] == part:
            so_far = results.get(cell["version"], True)
            results[cell["version"]] = so_far and cell["result"] == "passed"
    return results


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
