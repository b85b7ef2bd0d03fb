"""Runs a cell's tests, and tells what they showed."""

import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from stack.matrix.cells import Cell, Suite
from stack.matrix.environment import CHECKOUT, Environment

__all__ = ["Shown", "read_report", "run", "version_in"]

# What tells a part's version: a distribution in the cell's Python, or a program.
_DISTRIBUTIONS = {"mlflow": "mlflow", "workspaces": "mlflow", "airflow": "apache-airflow"}
_PROGRAMS = {
    "python": "python",
    "prometheus": "prometheus",
    "alertmanager": "prometheus-alertmanager",
    "redis": "redis-server",
    "valkey": "valkey-server",
    "postgresql": "postgres",
    "mariadb": "mariadbd",
}
# The versions of the packages that flowgauge itself requires.
_FLOOR = """\
from importlib.metadata import requires, version
from packaging.requirements import Requirement
names = [wanted.name for wanted in map(Requirement, requires("flowgauge")) if not wanted.marker]
print(", ".join(f"{name} {version(name)}" for name in sorted(names)))
"""


@dataclass(frozen=True)
class Shown:
    """What came of a cell's tests: the suites that took part, how many tests passed, how many not.

    A suite none of whose tests ran has shown nothing, and is not among them.
    """

    ran: tuple[str, ...]
    passed: int
    failed: int

    @property
    def succeeded(self) -> bool:
        """Whether tests ran, and none failed."""
        return self.passed > 0 and self.failed == 0


def version_in(environment: Environment, part: str) -> str:
    """Return the exact version of *part* that the tests in *environment* meet."""
    if part in _DISTRIBUTIONS:
        code = f"from importlib.metadata import version; print(version({_DISTRIBUTIONS[part]!r}))"
        return environment.output("python", "-c", code).strip()
    if part == "floor":
        return environment.output("python", "-c", _FLOOR).strip()
    said = environment.output(_PROGRAMS[part], "--version")
    found = re.search(r"\d+(\.\d+)+", said)
    if not found:
        raise ValueError(f"{_PROGRAMS[part]} --version names no version: {said!r}")
    return found[0]


def run(cell: Cell, environment: Environment, log: Path) -> Shown:
    """Run the tests of *cell* in *environment*; what pytest says goes to *log*."""
    report = log.with_suffix(".xml")
    report.unlink(missing_ok=True)
    tests = [test for suite in cell.suites for test in suite.tests]
    pytest = ["-m", "pytest", "--numprocesses", "3", "--no-loadscope-reorder", "--long"]
    # pytest's own folder is shared: who starts a third run removes that of the first.
    with log.open("wb") as output, TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = [f"--junitxml={report}", f"--basetemp={folder}/tests", *cell.selection]
        subprocess.run(
            [environment.python, *pytest, *options, *tests],
            cwd=CHECKOUT,
            env=environment.variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if not report.exists():
        # pytest itself did not start.
        return Shown((), 0, 1)
    return read_report(report, cell.suites)


def read_report(report: Path, suites: Iterable[Suite]) -> Shown:
    """Return what the JUnit file *report*, which pytest wrote, says of *suites*."""
    cases = list(ET.parse(report).iter("testcase"))
    failed = sum(
        case.find("failure") is not None or case.find("error") is not None for case in cases
    )
    ran = tuple(suite.name for suite in suites if any(_belongs(case, suite) for case in cases))
    return Shown(ran, len(cases) - failed, failed)


def _belongs(case: ET.Element, suite: Suite) -> bool:
    place = f"{case.get('classname')}."
    return any(
        place.startswith(f"{test.removesuffix('.py').replace('/', '.')}.") for test in suite.tests
    )
