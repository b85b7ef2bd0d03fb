"""Prometheus' own tool, which judges rule files and runs their unit tests."""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flowgauge.errors import FlowgaugeError

__all__ = ["Promtool", "find"]

# The first that knows keep_firing_for.
_OLDEST = (2, 42)


@dataclass(frozen=True)
class Promtool:
    """A promtool that runs here: a name on PATH, or a path."""

    program: str

    def check(self, files: Sequence[Path]) -> str | None:
        """Return what `promtool check rules` has against *files*, None if nothing."""
        return self._run("check", "rules", *map(str, files))

    def test(self, file: Path) -> str | None:
        """Return how the unit tests in *file* fail, None if they pass."""
        return self._run("test", "rules", str(file))

    def _run(self, *arguments: str) -> str | None:
        # It lives for a second or two: collecting its garbage would take a fifth of them. And it
        # does one thing after the other: a second processor would only be handed to and fro.
        environ = {"GOGC": "400", "GOMAXPROCS": "1", **os.environ}
        done = subprocess.run(
            [self.program, *arguments],
            capture_output=True, encoding="utf-8", errors="replace", check=False, env=environ,
        )  # fmt: skip
        return None if done.returncode == 0 else (done.stdout + done.stderr).strip()


def find(program: str) -> Promtool:
    """Return the promtool *program*, a name on PATH or a path.

    Raises `FlowgaugeError` for one that is not there, is no promtool, or is older than 2.42.
    """
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
    except FileNotFoundError:
        where = "is not there" if "/" in program else "is not on PATH"
        raise FlowgaugeError(
            f"{program} {where}: install Prometheus (Debian: apt-get install prometheus), or say "
            "with --promtool where it is"
        ) from None
    except OSError as error:
        raise FlowgaugeError(f"{program} does not run: {error.strerror}") from None
    version = re.match(r"promtool, version (\d+)\.(\d+)\.", done.stdout)
    if not version:
        raise FlowgaugeError(f"{program} is no promtool: say with --promtool where it is")
    if tuple(map(int, version.groups())) < _OLDEST:
        raise FlowgaugeError(
            f"{program} is of Prometheus {version[1]}.{version[2]}: install 2.42 or newer, or say "
            "with --promtool where it is"
        )
    return Promtool(program)
