"""What is deployed beside a site's parts, or in their place, while an incident lasts."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from stack.exporter import exporter
from stack.incidents.apps import TOKEN
from stack.incidents.site import FASTER, Site, address, mlflow
from stack.mlflow import MlflowServer, mlflow_server
from stack.process import free_port, wait_for

__all__ = ["another_environment", "another_exporter", "replaced", "replicas", "serve_by", "servers"]

_Targets = Mapping[str, Mapping[str, str]]


@contextmanager
def servers(site: Site, count: int) -> Iterator[list[MlflowServer]]:
    """Run *count* more servers on the site's database; nobody knows of them yet."""
    with ExitStack() as parts, ThreadPoolExecutor() as pool:

        def start(_: int) -> MlflowServer:
            port = free_port()
            return parts.enter_context(mlflow(site.folder / f"mlflow-{port}", port, site.way))

        yield list(pool.map(start, range(count)))


@contextmanager
def replaced(site: Site, app: str | None = None, *, workers: int = 1) -> Iterator[MlflowServer]:
    """Let another server serve everybody: its *app*, or as many *workers*, are what differs.

    At the end it is as it was before.
    """
    port = free_port()
    before = site.front.target_ports
    folder = site.folder / f"mlflow-{port}"
    with mlflow(folder, port, site.way, app=app, workers=workers) as server:
        serve_by(site, [server], TOKEN if app else "")
        try:
            yield server
        finally:
            site.front.target_ports = before
            site.scrape("mlflow", {address(site.front.port): {}})


@contextmanager
def replicas(site: Site, count: int) -> Iterator[list[MlflowServer]]:
    """Let *count* servers serve everybody, each scraped by itself, in the place of the site's."""
    before = site.front.target_ports
    with servers(site, count) as started:
        serve_by(site, started)
        try:
            yield started
        finally:
            site.front.target_ports = before
            site.scrape("mlflow", {address(site.front.port): {}})


def serve_by(site: Site, chosen: Sequence[MlflowServer], token: str = "") -> None:
    """Let *chosen* servers serve everybody, and Prometheus scrape these alone, with *token*."""
    site.front.target_ports = [int(server.url.rpartition(":")[2]) for server in chosen]
    site.scrape("mlflow", {_target(server.url): {} for server in chosen}, token)


@contextmanager
def another_exporter(site: Site) -> Iterator[None]:
    """Replace the exporter by a new one, at another address, and put it back at the end."""
    old: _Targets = {_target(site.exporter.running): {}}
    with exporter(
        site.folder / "exporter-2", mlflow_uri=site.mlflow_uri, store=site.store_url
    ) as url:
        new: _Targets = {_target(url): {}}
        site.scrape("flowgauge", {**old, **new})
        site.exporter.stop()
        site.scrape("flowgauge", new)
        yield
        site.exporter.start()
        site.scrape("flowgauge", old)


@contextmanager
def another_environment(site: Site, name: str) -> Iterator[MlflowServer]:
    """Let the same Prometheus watch a second MLflow, as environment *name*.

    At the end it is taken away as docs/operate.md says: it is not missed.
    """
    folder = site.folder / name
    labels = {"environment": name}
    of_the_site = {"mlflow": address(site.front.port), "flowgauge": _target(site.exporter.running)}
    with (
        mlflow_server(folder, options=["--app-name", "flowgauge"]) as server,
        exporter(folder, mlflow_uri=server.url, store=f"sqlite:///{folder}/store.db") as exporter_,
    ):
        for job, url in {"mlflow": server.url, "flowgauge": exporter_}.items():
            site.scrape(job, {of_the_site[job]: {}, _target(url): labels})
        # What is judged by a share of 5 minutes has to have been there so long.
        known = f'count_over_time(mlflow_up{{environment="{name}"}}[{5 * 60 // FASTER}s]) >= 9'
        wait_for(lambda: site.prometheus.query(known), f"{name} is watched")
        yield server
        _silence(site, name)
        for job, target in of_the_site.items():
            site.scrape(job, {target: {}})


def _silence(site: Site, environment: str) -> None:
    command = [
        "amtool", "silence", "add", f"--alertmanager.url=http://{site.notifier}",
        "--author=incidents", "--comment=taken away", "--duration=25h",
        f"environment={environment}",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)


def _target(url: str) -> str:
    return url.removeprefix("http://")
