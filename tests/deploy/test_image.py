"""The images, as far as they can be tried without a container engine."""

import re
import subprocess
import sys
import venv
from fnmatch import fnmatch
from pathlib import Path

import pytest

from flowgauge.environment import load_environment
from flowgauge.render import render
from flowgauge.render.folder import MARKER
from tests.deploy.conftest import EXAMPLES

_CHECKOUT = Path(__file__).parents[2]
_DOCKERFILE = (_CHECKOUT / "deploy" / "Dockerfile").read_text()


def test_no_image_runs_as_root() -> None:
    """Each of our own images ends as a numeric user, by which Kubernetes sees it is not root."""
    stages = re.split(r"^FROM .* AS ", _DOCKERFILE, flags=re.MULTILINE)[1:]
    users = {stage.split()[0]: re.findall(r"^USER (.+)$", stage, re.MULTILINE) for stage in stages}
    assert users["exporter"] == users["mlflow"] == ["65532:65532"]
    # Airflow's image has its own user, whom its chart knows.
    assert users["airflow"] == []


def test_the_build_context_has_what_the_wheel_is_built_from() -> None:
    """All that pyproject.toml packs is let through to the build, and nothing else is."""
    lines = (_CHECKOUT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines
    assert all((_CHECKOUT / path).exists() for path in allowed)
    pyproject = (_CHECKOUT / "pyproject.toml").read_text()
    packed = re.findall(r'^"(.+)" = "flowgauge/_assets', pyproject, re.MULTILINE)
    assert set(packed) | {"exporters", "pyproject.toml", "README.md"} <= allowed
    assert not any(fnmatch(".git", path) for path in allowed)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The virtual environment that the exporter's image is made of, without its dependencies.

    The dependencies are this environment's: they are pinned by the same constraints.txt.
    """
    folder = tmp_path_factory.mktemp("image")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, _CHECKOUT], check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "opt", with_pip=False)
    [packages] = (folder / "opt" / "lib").glob("python*/site-packages")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*install, packages, wheel], check=True, capture_output=True)
    site = Path(pytest.__file__).parents[1]
    # Of what is installed here only flowgauge itself, a link to the checkout, must not be found.
    (packages / "dependencies.pth").write_text(f"{site}\n")
    return folder / "opt" / "bin" / "python"


def test_the_wheel_renders_the_same_bytes_as_the_checkout(installed: Path, folder: Path) -> None:
    """Rules, dashboards and manifests travel in the wheel, and no environment does."""
    text = (EXAMPLES / "prod.yaml").read_text().replace("example.com", "corp.internal")
    (folder / "environments").mkdir()
    (folder / "environments" / "prod.yaml").write_text(text)
    command = "from flowgauge.cli import main; main()"
    subprocess.run(
        [installed, "-c", command, "render", "--env", "prod", "--out", folder / "out"],
        cwd=folder,
        check=True,
    )
    rendered = {
        file.relative_to(folder / "out").as_posix(): file.read_text()
        for file in (folder / "out").rglob("*")
        if file.is_file() and file.name != MARKER
    }
    assert rendered == render("prod", load_environment("prod", folder / "environments"))
    assert list((installed.parents[1] / "lib").rglob("_assets/environments")) == []
    where = subprocess.run(
        [installed, "-c", "import flowgauge; print(flowgauge.__file__)"],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert str(installed.parents[1]) in where
