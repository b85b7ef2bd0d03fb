"""What the exporter, and the relay, answer over HTTP."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TypeVar

from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from flowgauge import __version__
from flowgauge.background import in_background
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.exposition import exposition
from flowgauge.redact import quote, spell

__all__ = ["Check", "Page", "web_app"]

_READY_SECONDS = 5.0

Check = Callable[[], object]
"""Returns if something the exporter needs answers, else raises `FlowgaugeError`."""

_T = TypeVar("_T")

_LANDING = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{page.name}</title></head>
<body>
<h1>{page.name}</h1>
<p>Version {version}. {page.purpose}</p>
<ul>
<li><a href="{metrics}">Metrics</a></li>
<li><a href="/healthz">Health</a>: this process answers</li>
<li><a href="/readyz">Readiness</a>: {page.ready}</li>
</ul>
</body>
</html>
"""


@dataclass(frozen=True)
class Page:
    """What `/` says: the program's name, what it is for, and what `/readyz` asks."""

    name: str
    purpose: str
    ready: str


def web_app(
    collector: Collector, checks: Mapping[str, Check], metrics_path: str, page: Page
) -> Starlette:
    """Return the application: *page* at `/`, *collector*'s *metrics_path*, `/healthz`, `/readyz`.

    `/healthz` answers 200 as long as the process does. `/readyz` runs *checks*, by the name of
    what they ask, and answers 503 with a sentence for each that fails; an orchestrator that stops
    scraping an unready exporter should ask `/healthz`, or nobody sees `mlflow_up` 0.
    Raises `UsageError` for a *metrics_path* that is no path, or taken.
    """
    taken = {"/", "/healthz", "/readyz"}
    if not metrics_path.startswith("/") or metrics_path in taken or "{" in metrics_path:
        raise UsageError(
            f"--web.telemetry-path is {quote(metrics_path)!r}: give a path such as /metrics, "
            f"other than {', '.join(sorted(taken))}"
        )

    async def landing(_request: Request) -> Response:
        path = escape(metrics_path)
        return HTMLResponse(_LANDING.format(page=page, version=__version__, metrics=path))

    async def metrics(request: Request) -> Response:
        return await _beside(lambda: exposition(collector, request), "scrape")

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readiness(_request: Request) -> Response:
        answers = await asyncio.gather(*(_ask(name, check) for name, check in checks.items()))
        wrong = [answer for answer in answers if answer]
        return PlainTextResponse("\n".join(wrong or ["ok"]) + "\n", 503 if wrong else 200)

    return Starlette(
        routes=[
            Route("/", landing),
            Route(metrics_path, metrics),
            Route("/healthz", health),
            Route("/readyz", readiness),
        ]
    )


async def _ask(name: str, check: Check) -> str | None:
    """Return what is wrong, in one sentence."""
    try:
        await asyncio.wait_for(_beside(check, f"ready-{name}"), _READY_SECONDS)
    except TimeoutError:
        return f"{name}: did not answer within {_READY_SECONDS:g} s"
    except FlowgaugeError as error:
        return f"{name}: {spell(str(error))}"
    return None


async def _beside(work: Callable[[], _T], name: str) -> _T:
    # The event loop's own threads would hold up the end of the process while they hang.
    return await asyncio.wrap_future(in_background(work, name))
