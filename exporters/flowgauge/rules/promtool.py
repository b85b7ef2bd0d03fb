"""Prometheus' own tool, which judges rule files and runs their unit tests."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from flowgauge.errors import FlowgaugeError

__all__ = ["check", "test"]


def check(files: Sequence[Path]) -> str | None:
    """Return what `promtool check rules` has against *files*, None if nothing."""
    return _run("check", "rules", *map(str, files))


def test(file: Path) -> str | None:
    """Return how the unit tests in *file* fail, None if they pass."""
    return _run("test", "rules", str(file))


def _run(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise FlowgaugeError(
            "promtool is not on PATH: install Prometheus (Debian: apt-get install prometheus)"
        ) from None
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip()
