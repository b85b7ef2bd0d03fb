"""Modules of a package that are loaded without the rest of it."""

import subprocess
import sys
from pathlib import Path

import pytest


def _run(program: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"from flowgauge.parts import import_parts\n{program}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    return (done.stdout + done.stderr[-300:]).split()


@pytest.fixture
def large(folder: Path) -> Path:
    """A package that says when all of it is loaded, in a folder to run in."""
    (folder / "large").mkdir()
    (folder / "large" / "__init__.py").write_text(
        "print('all')\nfrom large import second\nname = 'value'\n"
    )
    (folder / "large" / "first.py").write_text("import large\nfrom . import third\n")
    (folder / "large" / "second.py").write_text("from large import first\nother = first.third\n")
    (folder / "large" / "third.py").write_text("")
    (folder / "large" / "needs_all.py").write_text("import sys\nassert sys.modules['large'].name\n")
    return folder


def test_a_part_is_loaded_alone(large: Path) -> None:
    """Neither the package's own code runs, nor modules that the part does not import."""
    program = "import_parts('large', 'first')\nimport sys\nprint('large.second' in sys.modules)"
    assert _run(program, large) == ["False"]


@pytest.mark.parametrize(
    "asks",
    [
        "from large import name; print(name)",
        "import large; print(large.name)",
        "import large; print(getattr(large, 'no', '-'), large.name)",
        "import large.second; print(large.first.third is large.second.other); print(large.name)",
        "from large import *; print(name)",
    ],
)
def test_whoever_asks_for_more_gets_it(asks: str, large: Path) -> None:
    """To all others the package is what it is: its code runs once, as soon as it is needed."""
    said = _run(f"import_parts('large', 'first')\n{asks}\n{asks}", large)
    assert said.count("all") == 1
    assert said[-1] == "value"
    assert "Error" not in " ".join(said)


def test_threads_that_ask_at_once_all_get_it(large: Path) -> None:
    """One of them runs the package's code, and the others wait for it."""
    (large / "large" / "second.py").write_text("for each in range(10**6):\n    pass\n")
    program = (
        "import sys\n"
        "sys.setswitchinterval(1e-5)\n"
        "import_parts('large', 'first')\n"
        "import large\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(*pool.map(lambda _: large.name, range(8)))"
    )
    assert _run(program, large) == ["all", *["value"] * 8]


def test_a_part_that_needs_the_rest_gets_it(large: Path) -> None:
    """A later version of the package may be put together otherwise: then it is loaded as ever."""
    (large / "large" / "broken_alone.py").write_text(
        "import sys\nif type(sys.modules['large']).__name__ != 'module':\n    raise RuntimeError\n"
    )
    program = "import_parts('large', 'broken_alone')\nimport large\nprint(large.name)"
    assert _run(program, large) == ["all", "value"]
    assert _run("import_parts('large', 'needs_all')\nprint('works')", large)[-1] == "works"


def test_a_package_that_is_missing_is_named(folder: Path) -> None:
    """The error is that of an import."""
    said = " ".join(_run("import_parts('no_such_package', 'first')", folder))
    assert "ModuleNotFoundError: No module named 'no_such_package'" in said


def test_the_stores_client_is_whole_for_others(folder: Path) -> None:
    """A DAG that uses psycopg beside flowgauge has all of it."""
    program = (
        "import flowgauge.store.postgres\n"
        "import psycopg\n"
        "from psycopg.types.json import Jsonb\n"
        "print(callable(psycopg.connect), psycopg.errors.Error is psycopg.Error)"
    )
    assert _run(program, folder) == ["True", "True"]
