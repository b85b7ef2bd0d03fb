"""What pyproject.toml promises is what the matrix ran."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from stack.matrix.results import Row, read

_PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

_DAGS = "DAG side, in every place where DAG code runs"


def _rows(part: str) -> list[Row]:
    return [row for row in read() if row.part == part]


def _passed(part: str, suite: str) -> list[Version]:
    return [
        Version(row.version) for row in _rows(part) if row.result == "passed" and suite in row.ran
    ]


def _floor(requirement: str) -> Version:
    return next(
        Version(clause.version)
        for clause in Requirement(requirement).specifier
        if clause.operator in {">=", "=="}
    )


@pytest.mark.parametrize(
    ("extra", "part", "suite"), [("server", "mlflow", "server app"), ("airflow", "airflow", _DAGS)]
)
def test_no_extra_forbids_what_passed(extra: str, part: str, suite: str) -> None:
    """What the extras `server` and `airflow` leave out, as too old, is nothing that passed."""
    (requirement,) = _PROJECT["optional-dependencies"][extra]
    assert all(version >= _floor(requirement) for version in _passed(part, suite))


def test_no_python_is_named_that_failed() -> None:
    """No Python of the classifiers failed where the matrix ran it; the oldest is required."""
    failed = {Version(row.version).minor for row in _rows("python") if row.result != "passed"}
    named = {int(name.rpartition(".")[2]) for name in _PROJECT["classifiers"] if ":: 3." in name}
    assert not failed & named
    assert _PROJECT["requires-python"] == f">=3.{min(named)}"


def test_the_lower_bounds_are_those_that_ran() -> None:
    """Where the oldest packages passed together, they are the lower bounds of the dependencies."""
    for row in (row for row in _rows("floor") if row.result == "passed"):
        ran = dict(each.split() for each in row.version.split(", "))
        assert {name: Version(version) for name, version in ran.items()} == {
            Requirement(each).name: _floor(each) for each in _PROJECT["dependencies"]
        }
