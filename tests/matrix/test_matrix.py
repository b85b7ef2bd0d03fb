"""The matrix' own logic; what the cells show, `make test-matrix` shows."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from stack.matrix.__main__ import main
from stack.matrix.cells import CELLS, Cell, Suite, choose
from stack.matrix.results import Row, read, replace
from stack.matrix.running import Shown, read_report

CHECKOUT = Path(__file__).parents[2]


def test_every_cell_runs_tests_that_exist() -> None:
    """Cells have names of their own, and each names files or folders of the suite."""
    assert len({cell.name for cell in CELLS}) == len(CELLS)
    tests = {test for cell in CELLS for suite in cell.suites for test in suite.tests}
    assert [test for test in sorted(tests) if not (CHECKOUT / test).exists()] == []


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ("mlflow-3.9", ["mlflow-3.9"]),
        ("redis, valkey-9", ["redis-7", "redis-8", "valkey-9"]),
        ("floor", ["floor"]),
        ("", [cell.name for cell in CELLS]),
    ],
)
def test_only_names_cells_and_families(only: str, names: list[str]) -> None:
    """ONLY takes cells and whole families, several by commas; without it all run."""
    assert [cell.name for cell in choose(only)] == names


def test_an_unknown_cell_is_named() -> None:
    """A name that is neither a cell's nor a family's is refused with those there are."""
    refused = CliRunner().invoke(main, ["mlflow-3.9,mlflow-1.0"])
    assert refused.exit_code == 2
    assert "no cell 'mlflow-1.0': there are mlflow-2.22, mlflow-3.3.0" in refused.output
    assert "whole families by mlflow, workspaces, airflow" in refused.output


@pytest.mark.parametrize(
    ("declared", "version", "covered"),
    [
        ("3.5", "3.5.1", True),
        ("3.5", "3.50.0", False),
        ("3.3.0", "3.3.0", True),
        ("3.3.0", "3.3.2", False),
        ("newest", "9.9", True),
    ],
)
def test_a_cell_runs_on_the_version_it_names(declared: str, version: str, covered: bool) -> None:
    """A version belongs to the cell whose numbers it begins with, whole numbers only."""
    assert Cell("mlflow", declared, ()).covers(version) is covered


def test_a_report_tells_what_ran(folder: Path) -> None:
    """Passed and failed tests are counted; a suite whose tests were all left out is not named."""
    tests = folder / "tests"
    tests.mkdir()
    (tests / "conftest.py").write_text(
        "import pytest\n@pytest.fixture\ndef broken(): raise OSError\n"
    )
    for name in ("server", "server_auth", "other"):
        (tests / f"test_{name}.py").write_text(
            "import pytest\ndef test_well(): pass\n"
            "def test_ill(): assert False\ndef test_broken(broken): pass\n"
        )
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}"]
    leave_out = ["-k", "not (test_server_auth or test_ill and test_other)"]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = [*command, *leave_out, "tests"]
    subprocess.run(run, cwd=folder, env=env, capture_output=True, check=False)
    suites = [
        Suite("server app", ("tests/test_server.py",)),
        Suite("basic-auth", ("tests/test_server_auth.py",)),
        Suite("all", ("tests",)),
    ]
    shown = read_report(report, suites)
    assert shown == Shown(("server app", "all"), passed=2, failed=3)
    assert not shown.succeeded


def test_no_tests_are_no_success() -> None:
    """A cell in which nothing ran has not passed."""
    assert not Shown((), passed=0, failed=0).succeeded


def _row(cell: str, passed: int) -> Row:
    declared = next(each for each in CELLS if each.name == cell)
    shown = Shown(("exporter",), passed, failed=0 if passed else 1)
    return Row.of(declared, "1.2.3", shown, date(2026, 11, 24))


def test_a_run_replaces_its_own_row_alone(folder: Path) -> None:
    """Rows stand in the order of the cells, one a cell; those no longer declared go."""
    file = folder / "compatibility.json"
    order = ["mlflow-2.22", "redis-7"]
    for row in (_row("redis-7", 1), _row("redis-8", 2), _row("mlflow-2.22", 0), _row("redis-7", 3)):
        replace(row, [*order, row.cell], file)
    replace(_row("redis-7", 4), order, file)
    assert [(row.cell, row.tests, row.result) for row in read(file)] == [
        ("mlflow-2.22", 0, "failed"),
        ("redis-7", 4, "passed"),
    ]


def test_the_tables_are_current() -> None:
    """The tables in README.md and docs/compatibility.md say what the results say."""
    check = [sys.executable, "scripts/compatibility_table.py", "--check"]
    done = subprocess.run(check, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_failed_is_shown_as_failed(folder: Path) -> None:
    """The page has a line for every run; the README names what passed, and that alone."""
    markers = "<!-- compatibility:begin -->\nold\n<!-- compatibility:end -->\n"
    for place in ("docs", "scripts"):
        (folder / place).mkdir()
    pages = [folder / "docs" / "compatibility.md", folder / "README.md"]
    for page in pages:
        page.write_text(markers)
    rows = [asdict(_row("redis-7", 5)), asdict(_row("redis-8", 0))]
    rows[1]["version"] = "8.0.6"
    (folder / "docs" / "compatibility.json").write_text(json.dumps(rows))
    script = folder / "scripts" / "compatibility_table.py"
    shutil.copy(CHECKOUT / "scripts" / script.name, script)
    check = subprocess.run([sys.executable, script, "--check"], capture_output=True, check=False)
    assert check.returncode == 1
    subprocess.run([sys.executable, script], check=True)
    whole, short = (page.read_text() for page in pages)
    assert "| Redis | 1.2.3 | exporter | 5 | passed | 2026-11-24 |" in whole
    assert "| Redis | 8.0.6 | exporter | 0 | failed | 2026-11-24 |" in whole
    assert "| Redis | exporter | 1.2.3 |" in short
    assert "8.0.6" not in short
