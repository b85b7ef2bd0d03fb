"""The compose file: valid, complete, and run on loopback without containers."""

import json
import os
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from compose_spec import PyCompose

from flowgauge.assets import asset
from flowgauge.environment import load_environment
from flowgauge.render import render, replace_folder
from stack.matrix.results import read
from stack.postgres import Postgres
from stack.process import LOOPBACK, answers, free_port, python_tool, running, wait_for
from stack.prometheus import Prometheus
from tests.deploy.conftest import EXAMPLES

pytestmark = pytest.mark.whole_system(seconds=30)

_DEPLOY = Path(__file__).parents[2] / "deploy"
_RENDERED = "../build/compose"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file, its merge keys resolved."""
    content: dict[str, Any] = yaml.safe_load((_DEPLOY / "compose.yaml").read_text())
    return content


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make render ENV=compose` makes."""
    out = tmp_path_factory.mktemp("compose") / "compose"
    replace_folder(out, render("compose", load_environment("compose", EXAMPLES)))
    return out


def test_the_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    """No unknown key, no wrong value, no reference to what is missing; a typo would be found."""
    PyCompose.from_json(json.dumps(compose)).validate()
    wrong = {**compose["services"]["redis"], "imagee": "x"}
    with pytest.raises(ValueError, match="imagee"):
        PyCompose.from_json(json.dumps({**compose, "services": {"redis": wrong}}))


def test_every_service_may_do_as_little_as_it_can(compose: dict[str, Any]) -> None:
    """No capability, no way to more, nothing to write but volumes and folders in memory."""
    for service in compose["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"]
    # Images that start as root, and without a capability could not become who they run as.
    assert {compose["services"][name]["user"] for name in ("postgres", "redis")} == {
        "postgres",
        "redis",
    }


def test_every_mounted_path_exists(compose: dict[str, Any], configured: Path) -> None:
    """Each bind mount is a folder of the rendering, mounted read-only; all else is a volume."""
    mounts = [
        mount.split(":")
        for service in compose["services"].values()
        for mount in service.get("volumes", [])
    ]
    bound = [mount for mount in mounts if mount[0].startswith(".")]
    assert len(bound) == 4
    for source, _, mode in bound:
        assert (configured / source.removeprefix(f"{_RENDERED}/")).is_dir()
        assert mode == "ro"
    assert {mount[0] for mount in mounts if mount not in bound} == set(compose["volumes"])


def test_nothing_is_open_to_the_network(compose: dict[str, Any]) -> None:
    """Every published port is loopback's, and every password must be chosen."""
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name:
                assert re.fullmatch(r"\$\{\w+(:\?.+)?\}", value)


def test_images_are_pinned(compose: dict[str, Any]) -> None:
    """Every image has a version, in the compose file and the Dockerfile."""
    images = [service["image"] for service in compose["services"].values()]
    images += re.findall(
        r"^ARG \w+_IMAGE=(\S+)$", (_DEPLOY / "Dockerfile").read_text(), re.MULTILINE
    )
    for image in images:
        assert re.search(r":v?\d+\.\d+", image), image


def test_the_images_are_versions_that_the_matrix_ran(compose: dict[str, Any]) -> None:
    """Each image that is not ours nor Grafana's is of a version in the compatibility table."""
    images = {
        "postgres": "postgresql",
        "redis": "redis",
        "prom/prometheus": "prometheus",
        "prom/alertmanager": "alertmanager",
    }
    passed = {(row.part, _minor(row.version)) for row in read() if row.result == "passed"}
    versions = dict(service["image"].split(":") for service in compose["services"].values())

    for image, part in images.items():
        assert (part, _minor(versions[image].removeprefix("v"))) in passed


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


@pytest.mark.long
def test_the_services_work_together(
    compose: dict[str, Any], configured: Path, database: Postgres, folder: Path
) -> None:
    """Each command line is accepted by the real program, and together they monitor MLflow.

    Grafana is not run. What containers call each other is replaced by addresses on loopback.
    """
    services = compose["services"]
    ports = {name: free_port() for name in ("redis", "mlflow", "exporter", "prometheus", "relay")}
    ports |= {"alertmanager": free_port(), "postgres": database.port}
    here = _Replacements(
        {
            **{f"{name}:{port}": f"{LOOPBACK}:{ports[name]}" for name, port in _PORTS.items()},
            "/etc/prometheus": str(folder / "config" / "prometheus"),
            "/etc/alertmanager": str(folder / "config" / "alertmanager"),
            "/mlflow/artifacts": str(folder / "artifacts"),
            "=/prometheus": f"={folder / 'metrics'}",
            "=/alertmanager": f"={folder / 'notifications'}",
            "0.0.0.0": LOOPBACK,
            "scrape_interval: 15s": "scrape_interval: 1s",
        }
    )
    here.copy(configured, folder / "config")

    def url(name: str, path: str = "") -> str:
        return f"http://{LOOPBACK}:{ports[name]}{path}"

    with ExitStack() as parts:

        def start(
            name: str, program: list[str], listen: list[str], ready: Callable[[], bool]
        ) -> None:
            service = services[name]
            variables = {key: here(text) for key, text in service.get("environment", {}).items()}
            command = [*program, *map(here, service.get("command", [])), *listen]
            part = running(
                command,
                log=folder / f"{name}.log",
                env={"PATH": _tools(), **variables, "MLFLOW_PORT": str(ports["mlflow"])},
                cwd=folder,
                ready=ready,
            )
            parts.enter_context(part)

        def address(name: str) -> str:
            return f"--web.listen-address={LOOPBACK}:{ports[name]}"

        port = str(ports["redis"])
        start("redis", [], ["--port", port, "--bind", LOOPBACK], lambda: _listens(ports["redis"]))
        start("mlflow", [], [], lambda: answers(url("mlflow", "/health")))
        start("exporter", _exporter_command(), [address("exporter")],
              lambda: answers(url("exporter", "/readyz")))  # fmt: skip
        start("relay", _exporter_command()[:1], [address("relay")],
              lambda: answers(url("relay", "/readyz")))  # fmt: skip
        start("alertmanager", ["prometheus-alertmanager"], [address("alertmanager")],
              lambda: answers(url("alertmanager", "/-/ready")))  # fmt: skip
        start("prometheus", ["prometheus"], [address("prometheus")],
              lambda: answers(url("prometheus", "/-/ready")))  # fmt: skip

        monitor = Prometheus(url("prometheus"))
        for job in ("mlflow", "flowgauge", "flowgauge-relay"):
            wait_for(partial(monitor.value, f'up{{job="{job}"}} == 1'), f"{job} is scraped")
        wait_for(lambda: monitor.value("mlflow_up") == 1, "the exporter reaches MLflow")
        told = httpx.get(url("prometheus", "/api/v1/alertmanagers")).json()["data"]
        assert [manager["url"] for manager in told["activeAlertmanagers"]] == [
            url("alertmanager", "/api/v2/alerts")
        ]
        rules = httpx.get(url("prometheus", "/api/v1/rules")).json()["data"]["groups"]
        assert len(rules) >= len(list(asset("alerts").glob("*.yaml")))


_PORTS = {
    "redis": 6379,
    "mlflow": 5000,
    "exporter": 9877,
    "relay": 9878,
    "alertmanager": 9093,
    "postgres": 5432,
}


class _Replacements:
    """What stands here for what the containers say."""

    def __init__(self, ours: dict[str, str]) -> None:
        self._ours = ours
        # The longest first: /etc/prometheus before /prometheus.
        longest = sorted(ours, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest)))

    def __call__(self, text: str) -> str:
        return self._pattern.sub(lambda found: self._ours[found[0]], text)

    def copy(self, source: Path, target: Path) -> None:
        """Copy every file of *source*, its text replaced."""
        for file in (path for path in source.rglob("*") if path.is_file()):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(self(file.read_text()))


def _exporter_command() -> list[str]:
    """What the image runs: the Dockerfile's last ENTRYPOINT and CMD."""
    text = (_DEPLOY / "Dockerfile").read_text()
    entrypoint, command = (
        json.loads(re.findall(rf"^{key} (.+)$", text, re.MULTILINE)[-1])
        for key in ("ENTRYPOINT", "CMD")
    )
    return [*entrypoint, *command]


def _tools() -> str:
    return f"{Path(python_tool('python')).parent}{os.pathsep}{os.environ['PATH']}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
