"""What a cell runs in: a Python with the right packages, and the programs before all others."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.matrix.cells import Cell
from stack.process import python_tool

__all__ = ["CHECKOUT", "Environment", "InstallError", "NotHereError", "make"]

CHECKOUT = Path(__file__).parents[2]
_PROGRAMS = CHECKOUT / ".run" / "programs"


class NotHereError(Exception):
    """The cell cannot run on this machine; the message says in one line what is missing."""


class InstallError(Exception):
    """The cell's packages cannot be installed together; the message is uv's."""


@dataclass(frozen=True)
class Environment:
    """A cell's own Python, and the environment variables that its tests run with."""

    python: Path
    variables: Mapping[str, str]

    def output(self, *command: str) -> str:
        """Return what *command* prints. Raises `NotHereError` where there is no such program."""
        program = shutil.which(command[0], path=self.variables["PATH"])
        if program is None:
            raise NotHereError(f"there is no {command[0]}")
        done = subprocess.run(
            [program, *command[1:]], env=self.variables, capture_output=True, text=True, check=True
        )
        return done.stdout


def make(cell: Cell, folder: Path) -> Environment:
    """Make the environment of *cell* in *folder*, anew: with uv's cache it takes seconds.

    Raises `NotHereError` for a Python or a program that cannot be had here, `InstallError` for
    packages that do not go together.
    """
    for program in cell.programs:
        _get(program)
    _uv("venv", "--quiet", "--clear", "--python", _interpreter(cell.python), str(folder))
    _install(cell, folder)
    programs = [str(_PROGRAMS / program / "bin") for program in cell.programs]
    # Debian keeps PostgreSQL's server off PATH.
    postgres = [str(found) for found in sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]]
    path = os.pathsep.join([str(folder / "bin"), *programs, os.environ["PATH"], *postgres])
    return Environment(folder / "bin" / "python", {**os.environ, **cell.settings, "PATH": path})


def _interpreter(version: str) -> str:
    """Return the path of a Python *version*: one that is at hand, else Debian sid's."""
    name = f"python{version}"
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin"))
    for candidate in (folder / name for folder in [*pyenv, *folders]):
        if candidate.exists() and _runs(candidate):
            return str(candidate)
    _get(name)
    return str(_PROGRAMS / name / "bin" / name)


def _runs(python: Path) -> bool:
    # pyenv's shims are there for versions that are not.
    return subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0


def _get(program: str) -> None:
    getting = ["scripts/newer-programs", program]
    done = subprocess.run(getting, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotHereError(done.stderr.strip().rpartition("\n")[2])


def _install(cell: Cell, folder: Path) -> None:
    built = folder / "built"
    python = str(folder / "bin" / "python")
    flowgauge = ["--editable", "."]
    if cell.as_of:
        dated = folder / "dated.txt"
        options = ["--exclude-newer", cell.as_of, "--python", python, "--output-file", str(dated)]
        _uv("pip", "compile", "--quiet", *options, "-", stdin="\n".join(cell.packages))
        flowgauge += ["--constraint", str(dated)]
    if cell.wheel:
        _uv("build", "--quiet", "--wheel", "--out-dir", str(built))
        flowgauge = [str(wheel) for wheel in built.glob("*.whl")]
    if cell.lowest:
        lowest = folder / "lowest.txt"
        options = ["--resolution", "lowest-direct", "--no-deps", "--output-file", str(lowest)]
        _uv("pip", "compile", "--quiet", *options, "pyproject.toml")
        flowgauge += ["--constraint", str(lowest)]
    _uv(
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",  # else each of a cell's many processes would, where none may write it
        "--python",
        python,
        "--group",
        "test",
        *flowgauge,
        *cell.packages,
    )
    if cell.wheel and not any(folder.glob("lib/python*/site-packages/flowgauge/__init__.py")):
        raise InstallError("the wheel did not bring flowgauge into the environment")


def _uv(*arguments: str, stdin: str = "") -> None:
    command = [python_tool("uv"), *arguments]
    done = subprocess.run(
        command, cwd=CHECKOUT, input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise InstallError(" ".join(done.stderr.split()))
