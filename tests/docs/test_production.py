"""The README's way into production works as it is written, on the parts that it names."""

import re
import subprocess
from functools import partial
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import httpx
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sqlalchemy.engine import make_url

from flowgauge.assets import asset
from stack.postgres import Postgres
from stack.process import LOOPBACK, answers, free_port, python_tool, running, wait_for
from stack.redis import LASTING, redis_server
from tests.docs.conftest import README
from tests.documents import blocks, commands
from tests.grafana.stand_in import TOKEN, grafana

_SECTION = README.read_text().partition("## Put it into production")[2].partition("\n## ")[0]
_SHELL = [block.text for block in blocks(README, language="sh") if block.text in _SECTION]
[_SERVER] = [text for text in _SHELL if "mlflow server" in text]
[_EXPORTER] = [text for text in _SHELL if "flowgauge exporter" in text]
[_RELAY] = [text for text in _SHELL if "flowgauge relay" in text]
[_RENDER] = [text for text in _SHELL if "flowgauge render" in text]
[_IMPORT] = [text for text in _SHELL if "dashboards import" in text]
_URI = re.findall(r"--backend-store-uri (\S+)", _SERVER)[0]

# Two servers, a PostgreSQL and a Redis start.
pytestmark = [pytest.mark.timeout(400), pytest.mark.whole_system(seconds=30)]


_Known = frozenset[tuple[str, str]]


def _brought_by(requirement: Requirement, known: _Known) -> set[tuple[str, str]]:
    """What pip installs for *requirement* beside what is *known*: names with their extras."""
    name = str(canonicalize_name(requirement.name))
    found = {(name, extra) for extra in ("", *requirement.extras)} - known
    for _, extra in list(found):
        for line in requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                found |= _brought_by(needed, known | frozenset(found))
    return found


def test_what_is_installed_has_the_databases_driver() -> None:
    """The README's `pip install` brings the Python module that its database URI names."""
    [[command, *packages]] = commands(_SERVER, "pip")
    assert command == "install"
    brought: _Known = frozenset()
    for package in packages:
        brought |= _brought_by(Requirement(package), brought)
    driver = make_url(_URI).get_dialect().driver
    providers = {canonicalize_name(name) for name in packages_distributions()[driver]}
    assert providers & {name for name, _ in brought}


def test_the_commands_run_and_prometheus_gets_in(database: Postgres, folder: Path) -> None:
    """Server, exporter and import start as written, and answer under the names of the page."""
    port, exporter = free_port(), free_port()
    env = {
        "MLFLOW_PORT": str(port),
        "MLFLOW_WORKERS": "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(python_tool('flowgauge')).parent}:/usr/bin:/bin",
    }
    mlflow = f"http://{LOOPBACK}:{port}"
    [asked] = re.findall(r"--mlflow-uri https://(\S+)", _EXPORTER)
    server = _SERVER.replace(_URI, database.uri).replace("0.0.0.0", LOOPBACK)
    server = server.replace(asked, f"{LOOPBACK}:{port}")
    with (
        redis_server(folder / "redis", *LASTING) as store,
        running(
            ["bash", "-euc", f"pip() {{ :; }}\n{server}"],
            log=folder / "mlflow.log",
            env=env,
            cwd=folder,
            ready=partial(answers, f"{mlflow}/health"),
        ),
    ):
        config = yaml.safe_load(blocks(README, language="yaml")[0].text)
        jobs = {job["job_name"]: job["static_configs"][0] for job in config["scrape_configs"]}
        [host] = jobs["mlflow"]["targets"]
        [shown_store] = re.findall(r"--store (\S+)", _EXPORTER)
        command = _EXPORTER.replace(f"https://{asked}", mlflow).replace(shown_store, store)
        own = {**env, "FLOWGAUGE_WEB_LISTEN_ADDRESS": f"{LOOPBACK}:{exporter}"}
        log = folder / "exporter.log"
        up = partial(_has, f"http://{LOOPBACK}:{exporter}/metrics", "mlflow_up 1.0")
        with running(["bash", "-euc", command], log=log, env=own, cwd=folder, ready=lambda: True):
            wait_for(up, "the exporter sees MLflow", timeout=120)
        command = _RELAY.replace(f"https://{asked}", mlflow).replace(shown_store, store)
        own = {**env, "FLOWGAUGE_RELAY_LISTEN_ADDRESS": f"{LOOPBACK}:{exporter}"}
        up = partial(_has, f"http://{LOOPBACK}:{exporter}/metrics", "flowgauge_relay_up 1.0")
        log = folder / "relay.log"
        with running(["bash", "-euc", command], log=log, env=own, cwd=folder, ready=lambda: True):
            wait_for(up, "the relay reaches the store", timeout=120)
        page = httpx.get(f"{mlflow}/metrics", headers={"Host": host}, timeout=60)
        assert "mlflow_db_pool_limit{" in page.raise_for_status().text


def _has(url: str, line: str) -> bool:
    # Asked over and over: without certificates, which plain HTTP does not need.
    try:
        return line in httpx.get(url, timeout=30, verify=False).text
    except httpx.TransportError:
        return False


def test_prometheus_takes_the_configuration(folder: Path) -> None:
    """Promtool accepts the README's configuration beside a copy of the rules."""
    (folder / "alerts").symlink_to(asset("alerts"))
    (folder / "prometheus.yml").write_text(blocks(README, language="yaml")[0].text)
    subprocess.run(["promtool", "check", "config", folder / "prometheus.yml"], check=True)


def test_an_empty_folder_gets_the_rules(folder: Path) -> None:
    """The README's environment file, rendered where there is nothing else, loads every rule."""
    path = f"{Path(python_tool('flowgauge')).parent}:/usr/bin:/bin"
    subprocess.run(["bash", "-euc", _RENDER], cwd=folder, env={"PATH": path}, check=True)
    rendered = folder / "build" / "prod" / "prometheus"
    names = {rules.name for rules in asset("alerts").glob("*.yaml")}
    assert {rules.name for rules in (rendered / "rules").iterdir()} == names
    subprocess.run(["promtool", "check", "config", rendered / "prometheus.yml"], check=True)


def test_the_dashboards_are_imported(folder: Path) -> None:
    """The README's import puts every dashboard into Grafana, with the token from its file."""
    (folder / "token").write_text(TOKEN)
    with grafana() as server:
        command = _IMPORT.replace("https://grafana.example.com", server.url)
        path = f"{Path(python_tool('flowgauge')).parent}:/usr/bin:/bin"
        subprocess.run(["bash", "-euc", command], cwd=folder, env={"PATH": path}, check=True)
        assert len(server.dashboards) == len(list(asset("dashboards").glob("*.json")))
