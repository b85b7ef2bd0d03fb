"""What pyproject.toml and the page on installation promise is what the matrix ran."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from stack.matrix.results import Row, read

_CHECKOUT = Path(__file__).parents[2]
_PROJECT = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text())["project"]

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
def test_an_extra_begins_where_it_passed(extra: str, part: str, suite: str) -> None:
    """The oldest that the extras `server` and `airflow` allow is the oldest that passed."""
    (requirement,) = _PROJECT["optional-dependencies"][extra]
    oldest = min(_passed(part, suite))
    assert _floor(requirement).release[:2] == oldest.release[:2]


def test_the_pythons_that_are_named_passed() -> None:
    """The classifiers name the Pythons that passed, and the oldest is required."""
    passed = {Version(row.version).minor for row in _rows("python") if row.result == "passed"}
    named = {int(name.rpartition(".")[2]) for name in _PROJECT["classifiers"] if ":: 3." in name}
    assert named == passed
    assert _PROJECT["requires-python"] == f">=3.{min(named)}"


def test_the_lower_bounds_are_those_that_ran() -> None:
    """The oldest packages that are allowed passed together, whatever else was needed then."""
    [row] = _rows("floor")
    assert row.result == "passed"
    ran = dict(each.split() for each in row.version.split(", "))
    allowed = {Requirement(each).name: _floor(each) for each in _PROJECT["dependencies"]}
    assert {name: Version(ran[name]) for name in allowed} == allowed


@pytest.mark.parametrize(
    ("program", "part", "suite"),
    [
        ("Python", "python", "store"),
        ("MLflow, for the server app", "mlflow", "server app"),
        ("MLflow, for exporter and DAG side", "mlflow", "exporter"),
        ("Airflow", "airflow", _DAGS),
        ("Prometheus", "prometheus", "rules and their tests"),
        ("Redis, if the store is Redis", "redis", "store"),
        ("PostgreSQL, if the store is PostgreSQL", "postgresql", "store"),
    ],
)
def test_the_page_on_installation_begins_where_it_passed(
    program: str, part: str, suite: str
) -> None:
    """The oldest version that docs/install.md asks for is the oldest that passed."""
    page = (_CHECKOUT / "docs" / "install.md").read_text()
    [told] = re.findall(rf"^\| {program} \| ([\d.]+) or newer", page, re.MULTILINE)
    floor = Version(told).release
    assert min(_passed(part, suite)).release[: len(floor)] == floor
