"""What pyproject.toml promises is what the matrix ran."""

import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from stack.matrix.results import Row, read

_PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def _passed(part: str, suite: str) -> list[Row]:
    return [
        row for row in read() if (row.part, row.result) == (part, "passed") and suite in row.ran
    ]


def _oldest(rows: Iterable[Row]) -> Version:
    return min(Version(row.version) for row in rows)


def _floor(requirement: str) -> Version:
    return next(
        Version(clause.version)
        for clause in Requirement(requirement).specifier
        if clause.operator in {">=", "=="}
    )


def test_the_oldest_mlflow_is_one_that_the_server_app_ran_on() -> None:
    """The extra `server` allows no MLflow older than the oldest that passed."""
    (mlflow,) = _PROJECT["optional-dependencies"]["server"]
    assert _floor(mlflow) == _oldest(_passed("mlflow", "server app"))


def test_the_oldest_airflow_is_one_that_the_dag_side_ran_on() -> None:
    """The extra `airflow` allows no Airflow older than the oldest that passed."""
    (airflow,) = _PROJECT["optional-dependencies"]["airflow"]
    assert _floor(airflow) == _oldest(_passed("airflow", "DAG side"))


def test_every_python_named_is_one_that_the_wheel_ran_on() -> None:
    """The classifiers name the Pythons that passed, and the oldest is the one required."""
    ran = [Version(row.version) for row in _passed("python", "DAG side")]
    named = [name for name in _PROJECT["classifiers"] if "Python :: 3." in name]
    assert named == [f"Programming Language :: Python :: 3.{each.minor}" for each in sorted(ran)]
    assert _PROJECT["requires-python"] == f">=3.{min(ran).minor}"


def test_the_oldest_packages_are_those_that_ran() -> None:
    """The lower bounds of the dependencies are the versions that passed together."""
    (row,) = _passed("floor", "exporter")
    ran = dict(each.split() for each in row.version.split(", "))
    assert set(ran) == {Requirement(each).name for each in _PROJECT["dependencies"]}
    for each in _PROJECT["dependencies"]:
        assert _floor(each) == Version(ran[Requirement(each).name])
