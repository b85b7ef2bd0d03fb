"""What `make release-check` refuses before it builds anything."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_VERSION = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
_READ = ("pyproject.toml", "CHANGELOG.md", "deploy", "docs/deploy.md", "environments")


@pytest.fixture
def checkout(folder: Path) -> Path:
    """What the script reads, to change something in it."""
    for name in (*_READ, "scripts/release_check.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        if (_ROOT / name).is_dir():
            shutil.copytree(_ROOT / name, folder / name)
        else:
            shutil.copy(_ROOT / name, folder / name)
    return folder


def _refused(checkout: Path, *tag: str) -> str:
    command = [sys.executable, str(checkout / "scripts" / "release_check.py"), *tag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not (checkout / "dist").exists()
    return done.stderr


def test_a_tag_names_the_version(checkout: Path) -> None:
    """A tag other than the version of pyproject.toml publishes nothing."""
    said = _refused(checkout, "v99.0.0")
    assert said == f"the tag is v99.0.0, and pyproject.toml has the version {_VERSION}\n"


_NAMING = ("deploy/helm/flowgauge/Chart.yaml", "deploy/compose.yaml", "docs/deploy.md")


@pytest.mark.parametrize("file", _NAMING)
def test_no_place_names_another_version(checkout: Path, file: str) -> None:
    """A chart, an image or a page that was left behind is named."""
    text = (checkout / file).read_text()
    assert _VERSION in text
    (checkout / file).write_text(text.replace(_VERSION, "0.0.9", 1))
    said = _refused(checkout, f"v{_VERSION}")
    assert said.startswith(f"{file} names ")
    assert said.endswith(f"0.0.9, and pyproject.toml the version {_VERSION}\n")


def test_a_release_has_notes(checkout: Path) -> None:
    """A version that the changelog does not have, or says nothing of, is not released."""
    changelog = (checkout / "CHANGELOG.md").read_text()
    (checkout / "CHANGELOG.md").write_text(changelog.replace(f"## [{_VERSION}]", "## [older]"))
    said = _refused(checkout, f"v{_VERSION}")
    assert said == f"CHANGELOG.md says nothing of {_VERSION}: write its section\n"
    (checkout / "CHANGELOG.md").write_text(f"# Changelog\n\n## [{_VERSION}]\n\n## [older]\n\n- x\n")
    assert _refused(checkout, f"v{_VERSION}") == said


def test_the_licences_are_current() -> None:
    """docs/licences.md lists what comes with flowgauge, and nothing that forbids a use."""
    check = [sys.executable, "scripts/licences_table.py", "--check"]
    done = subprocess.run(check, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (_ROOT / "docs" / "licences.md").read_text()
    rows = re.findall(r"^\| ([\w.-]+) \| (.+) \|$", page, re.MULTILINE)[1:]
    lesser = {name for name, licence in rows if re.search("GPL|Mozilla", licence)}
    assert lesser == {"certifi", "psycopg", "psycopg-binary"}
    assert len(rows) > 15
