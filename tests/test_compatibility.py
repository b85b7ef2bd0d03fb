"""What is said of a version, by the table of those that were tested."""

import json
from pathlib import Path

import pytest

from flowgauge.compatibility import remark

CELLS = [
    {"part": "mlflow", "version": "3.9.0", "result": "passed"},
    {"part": "mlflow", "version": "3.17.2", "result": "passed"},
    {"part": "mlflow", "version": "3.18.0", "result": "passed"},
    {"part": "mlflow", "version": "3.18.0", "result": "failed"},
    {"part": "postgresql", "version": "15.18", "result": "passed"},
]


@pytest.mark.parametrize(
    ("part", "version", "said"),
    [
        ("mlflow", "3.17.2", " (tested)"),
        ("mlflow", "3.17.9", " (tested as 3.17.2)"),
        ("mlflow", "3.18.0", " (which failed the tests)"),
        ("mlflow", "3.18.1", " (not tested; tested are 3.9.0, 3.17.2)"),
        ("mlflow", "2.22.0rc1", " (not tested; tested are 3.9.0, 3.17.2)"),
        ("postgresql", "15.4", " (tested as 15.18)"),
        ("postgresql", "16.18", " (not tested; tested are 15.18)"),
        ("sqlite", "3.40.1", ""),
    ],
)
def test_the_table_knows_what_passed(folder: Path, part: str, version: str, said: str) -> None:
    """A version passed if all that ran with it did, and stands for the others of its minor one."""
    table = folder / "compatibility.json"
    table.write_text(json.dumps(CELLS))
    assert remark(part, version, table) == said


def test_without_a_table_nothing_is_said(folder: Path) -> None:
    """Versions are then told alone."""
    assert remark("mlflow", "3.17.2", folder / "compatibility.json") == ""
