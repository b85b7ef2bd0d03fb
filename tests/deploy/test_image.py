"""The images, as far as they can be tried without a container engine."""

import os
import re
import socket
import stat
import subprocess
import sys
import venv
from fnmatch import fnmatch
from pathlib import Path

import pytest

from flowgauge.environment import load_environment
from flowgauge.render import render
from flowgauge.render.folder import MARKER
from stack.process import python_tool
from tests.deploy.conftest import EXAMPLES

_CHECKOUT = Path(__file__).parents[2]
_DOCKERFILE = (_CHECKOUT / "deploy" / "Dockerfile").read_text()


def _instructions(stage: str) -> list[tuple[str, str]]:
    """The instructions of one stage of the Dockerfile, each on one line, and their arguments."""
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", _DOCKERFILE, flags=re.MULTILINE))
    _, body = re.split(rf"^FROM .* AS {stage}$", lines, flags=re.MULTILINE)
    body = body.partition("\nFROM ")[0]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in body.splitlines())]


def _of(stage: str, instruction: str) -> list[str]:
    return [argument for word, argument in _instructions(stage) if word == instruction]


def test_no_image_runs_as_root() -> None:
    """Each of our own images ends as a numeric user, by which Kubernetes sees it is not root."""
    assert _of("exporter", "USER") == ["65532:65532"]
    assert _of("mlflow", "ARG") == ["MLFLOW_USER=65532:65532"]
    assert _of("mlflow", "USER")[-1] == "${MLFLOW_USER}"
    # Airflow's image has its own user, whom its chart knows.
    assert _of("airflow", "USER") == []


def test_every_image_says_what_it_is() -> None:
    """Title, description, source and licence are labels of each image, as registries show them."""
    for stage in ("exporter", "mlflow", "airflow"):
        [label] = _of(stage, "LABEL")
        for name in ("title", "description", "source", "licenses"):
            assert re.search(rf'org\.opencontainers\.image\.{name}="[^"]+"', label), stage


def test_the_exporters_image_reaches_every_store() -> None:
    """PostgreSQL's driver is in it; Redis' comes with the package."""
    assert "/wheels/*.whl)[postgres]" in _of("environment", "RUN")[0]


def test_the_base_may_end_with_any_user() -> None:
    """What is installed into MLflow's image is installed by root, whoever its base ends with."""
    user = "whoever the base ends with"
    by = []
    for instruction, argument in _instructions("mlflow"):
        if instruction == "USER":
            user = argument
        elif instruction == "RUN":
            by.append(user)
    assert by == ["0"]


@pytest.mark.parametrize("user", [f"{os.getuid()}:{os.getgid()}", f"{os.getuid()}"])
def test_the_artifacts_folder_is_the_users(folder: Path, user: str) -> None:
    """The shell accepts the step, which leaves a folder for artifacts that the server may write."""
    [step] = _of("mlflow", "RUN")
    script = re.sub(r"^(--\S+ )+", "", step).replace("/mlflow/", f"{folder}/mlflow/")
    (folder / "pip").write_text("#!/bin/sh\nexit 0\n")
    (folder / "pip").chmod(0o755)
    subprocess.run(
        ["sh", "-euc", script],
        env={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "MLFLOW_USER": user},
        check=True,
    )
    made = (folder / "mlflow" / "artifacts").stat()
    assert (made.st_uid, stat.S_ISDIR(made.st_mode)) == (os.getuid(), True)


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


_DOCKER = """\
#!/bin/sh
# Runs what an image would run, on this machine.
case "$*" in
    "run --rm --entrypoint id "*) echo {user} ;;
    "inspect "*) echo https://github.com/flowgauge/flowgauge ;;
    "run --detach "*)
        while [ "$1" != {image} ]; do shift; done
        shift
        {flowgauge} "$@" --web.listen-address 127.0.0.1:{port} >/dev/null 2>&1 &
        echo $! ;;
    "port "*) echo 127.0.0.1:{port} ;;
    "rm --force "*) kill "$3" ;;
esac
"""


@pytest.mark.parametrize(
    ("user", "code", "said"),
    [(65532, 0, "ours works.\n"), (0, 1, "ours runs as root\n")],
)
def test_the_smoke_test_tells_a_good_image(folder: Path, user: int, code: int, said: str) -> None:
    """The script of the workflows accepts the exporter, and no image that runs as root."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flowgauge = python_tool("flowgauge")
    (folder / "docker").write_text(
        _DOCKER.format(user=user, image="ours", flowgauge=flowgauge, port=port)
    )
    (folder / "docker").chmod(0o755)
    done = subprocess.run(
        [_CHECKOUT / "deploy" / "smoke-test", "exporter", "ours"],
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (code, said)


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


def test_the_index_shows_the_readme_with_its_pictures(installed: Path) -> None:
    """Links and pictures of the README lead somewhere from a page that has no folder beside it."""
    [metadata] = installed.parents[1].glob("lib/python*/site-packages/flowgauge-*/METADATA")
    links = re.findall(r"\]\(([^)]+)\)", metadata.read_text())
    assert len(links) > 10
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", metadata.read_text())
    assert pictures
    for picture in pictures:
        path = picture.removeprefix("https://raw.githubusercontent.com/flowgauge/flowgauge/main/")
        assert (_CHECKOUT / path).is_file()


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
