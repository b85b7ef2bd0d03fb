"""The dashboards in a browser without Grafana: its own React components, fed by a Prometheus.

`make preview` serves them beside `make run`. The page and its build are in dashboards/preview.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from stack.process import LOOPBACK, answers, free_port, running

__all__ = ["DASHBOARDS", "PREVIEW", "build", "main", "preview"]

_CHECKOUT = Path(__file__).parent.parent
DASHBOARDS = _CHECKOUT / "dashboards" / "json"
PREVIEW = _CHECKOUT / "dashboards" / "preview"
_ICONS = PREVIEW / "node_modules" / "@grafana" / "ui" / "dist" / "public" / "img"
_INSTALLED = PREVIEW / "node_modules" / ".package-lock.json"


def build() -> None:
    """Bundle the page, first installing its packages where they are missing or out of date."""
    wanted = PREVIEW / "package.json"
    if not _INSTALLED.exists() or _INSTALLED.stat().st_mtime < wanted.stat().st_mtime:
        click.echo("Installing the preview's npm packages (about a minute) ...", err=True)
        subprocess.run(["npm", "install", "--loglevel=error"], cwd=PREVIEW, check=True)
    subprocess.run(["npm", "run", "--silent", "build"], cwd=PREVIEW, check=True)


@contextmanager
def preview(folder: Path, prometheus_url: str, *, dashboards: Path = DASHBOARDS) -> Iterator[str]:
    """Serve the built page on loopback until the block ends; yield its address.

    The log goes to *folder*; *dashboards* is the folder with the JSON.
    """
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    command = [sys.executable, "-m", "stack.preview", "--no-build",
               "--prometheus-url", prometheus_url, "--port", str(port),
               "--dashboards", str(dashboards)]  # fmt: skip
    log = folder / "preview.log"
    with running(command, log=log, ready=lambda: answers(url), cwd=_CHECKOUT):
        yield url


def _app(prometheus_url: str, dashboards: Path) -> Starlette:
    client = httpx.AsyncClient(base_url=prometheus_url, timeout=60)

    async def index(_request: Request) -> Response:
        return Response((PREVIEW / "index.html").read_bytes(), media_type="text/html")

    async def ask_prometheus(request: Request) -> Response:
        answer = await client.get(request.url.path, params=request.query_params)
        return Response(answer.content, answer.status_code, media_type="application/json")

    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/{path:path}", ask_prometheus),
            Mount("/dashboards", StaticFiles(directory=dashboards)),
            Mount("/public/build/img", StaticFiles(directory=_ICONS)),
            Mount("/", StaticFiles(directory=PREVIEW / "out")),
        ]
    )


@click.command(context_settings={"show_default": True})
@click.option("--prometheus-url", default="http://127.0.0.1:9090", help="Where the data come from.")
@click.option("--port", default=3000, help="Port on 127.0.0.1.")
@click.option(
    "--dashboards",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=DASHBOARDS,
    help="The folder with the dashboards' JSON.",
)
@click.option("--build/--no-build", "fresh", default=True, help="Bundle the page first.")
def main(prometheus_url: str, port: int, dashboards: Path, *, fresh: bool) -> None:
    """Show the dashboards with data from a Prometheus until Ctrl-C."""
    if fresh:
        build()
    click.echo(f"http://{LOOPBACK}:{port}/?dashboard=flowgauge-server&scrape=2", err=True)
    uvicorn.run(_app(prometheus_url, dashboards), host=LOOPBACK, port=port, log_level="warning")


if __name__ == "__main__":
    main()
