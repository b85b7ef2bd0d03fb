"""Environments to render, and the real tools that check what is rendered."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from flowgauge.environment import load_environment
from flowgauge.render import render, replace_folder

_DOCUMENTATION = Path(__file__).parents[2] / "docs" / "environment.md"


def _examples() -> list[str]:
    return re.findall(r"```yaml\n(.+?)```", _DOCUMENTATION.read_text(), re.DOTALL)


@pytest.fixture(scope="session")
def every_key() -> str:
    """The documentation's example that has every key."""
    return max(_examples(), key=len)


@pytest.fixture(scope="session")
def managed() -> str:
    """The documentation's example of an MLflow whose servers nobody scrapes."""
    (example,) = [text for text in _examples() if "MLflowServerAbsent" in text]
    return example


@pytest.fixture
def rendered(folder: Path) -> Callable[[str], Path]:
    """Render the text of an environment file named `test`; gives the folder."""

    def make(text: str) -> Path:
        (folder / "test.yaml").write_text(text)
        replace_folder(folder / "out", render("test", load_environment("test", folder)))
        return folder / "out"

    return make


@pytest.fixture
def full(rendered: Callable[[str], Path], every_key: str) -> Path:
    """The rendering of an environment that has every section."""
    return rendered(every_key)


@pytest.fixture(scope="session")
def accepts() -> Callable[..., str]:
    """Run a tool that must accept what it is given; gives what it said."""

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
