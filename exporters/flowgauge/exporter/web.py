"""What the exporter, and the relay, answer over HTTP."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, TypeVar

from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from flowgauge import __version__
from flowgauge.background import in_background
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.exporter.collector import MAX_TIME_LIMIT_SECONDS
from flowgauge.exposition import Format, format_for
from flowgauge.redact import quote, spell

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Check", "Page", "Scraped", "web_app"]

_READY_SECONDS = 5.0
_SHARED_SECONDS = 2.0
_MOST_PAGES = 8

Check = Callable[[], object]
"""Returns if something the exporter needs answers, else raises `FlowgaugeError`."""

Scraped = Callable[[float], Collector]
"""Returns what is shown within these seconds."""

# Prometheus says how long it waits; the rest is for writing the page and the way.
_TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
_SHARE_FOR_COLLECTING = 0.8
# Few, so that those who ask share pages, whatever they say. No collector takes longer than the
# first; what others have is cut to the next one.
_PATIENCES = (MAX_TIME_LIMIT_SECONDS, 4.0, 2.0, 1.0, 0.4)

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
    scraped: Scraped, checks: Mapping[str, Check], metrics_path: str, page: Page
) -> Starlette:
    """Return the application: *page* at `/`, *scraped* at *metrics_path*, `/healthz`, `/readyz`.

    Prometheus has what was found when its patience ends, be the rest late: a scrape that fails
    shows nothing. Those who ask at about the same time share one answer of `/readyz`, and those who
    wait for the same page share it: strangers may ask as often as they like. `/healthz` answers 200
    as long as the process does. `/readyz` runs *checks*, by the name of what they ask, and answers
    503 with a sentence for each that fails; an orchestrator that stops scraping an unready exporter
    should ask `/healthz`, or nobody sees `mlflow_up` 0.
    Raises `UsageError` for a *metrics_path* that is no path, or taken.
    """
    taken = {"/", "/healthz", "/readyz"}
    if not metrics_path.startswith("/") or metrics_path in taken or "{" in metrics_path:
        raise UsageError(
            f"--web.telemetry-path is {quote(metrics_path)!r}: give a path such as /metrics, "
            f"other than {', '.join(sorted(taken))}"
        )

    shared = [_Shared(name, check) for name, check in checks.items()]
    pages = _Pages(scraped)

    async def landing(_request: Request) -> Response:
        path = escape(metrics_path)
        return HTMLResponse(_LANDING.format(page=page, version=__version__, metrics=path))

    async def metrics(request: Request) -> Response:
        return await pages.next(format_for(request), _seconds_for_collecting(request))

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readiness(_request: Request) -> Response:
        answers = await asyncio.gather(*(check.answer() for check in shared))
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


def _seconds_for_collecting(request: Request) -> float:
    try:
        seconds = float(request.headers.get(_TIMEOUT_HEADER, "inf")) * _SHARE_FOR_COLLECTING
    except ValueError:
        seconds = math.inf
    longest, *_, shortest = _PATIENCES
    if not seconds > 0:
        return longest
    return next((each for each in _PATIENCES if each <= seconds), shortest)


class _Pages:
    """Makes each page for all who wait for it; what it shows is found after they have asked.

    A crowd, or a stranger's flood, costs no more than a few pages, and nobody waits for more.
    """

    def __init__(self, scraped: Scraped) -> None:
        self._scraped = scraped
        # Each takes a thread, and a copy of the page.
        self._room = asyncio.Semaphore(_MOST_PAGES)
        self._coming: dict[tuple[str, bool, float], asyncio.Task[Response]] = {}

    async def next(self, wanted: Format, seconds: float) -> Response:
        """Return the next page that is made in that format, of what is found in these seconds."""
        key = wanted.content_type, wanted.is_packed, seconds
        if key not in self._coming:
            self._coming[key] = asyncio.create_task(self._made(wanted, seconds))
        # Others wait for it as well, should this one go.
        return await asyncio.shield(self._coming[key])

    async def _made(self, wanted: Format, seconds: float) -> Response:
        asked = time.monotonic()
        async with self._room:
            # Whoever asks from now on wants what is found later.
            del self._coming[wanted.content_type, wanted.is_packed, seconds]
            waited = time.monotonic() - asked
            collector = self._scraped(max(seconds - waited, min(_PATIENCES)))
            return await _beside(lambda: wanted.page(collector), "scrape")


class _Shared:
    """A check, made once for all who ask within two seconds, and not again while it goes on."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self._begun = -math.inf
        self._asking: Future[object] | None = None

    async def answer(self) -> str | None:
        """Return what is wrong, in one sentence."""
        try:
            await asyncio.wait_for(asyncio.wrap_future(self._asked()), _READY_SECONDS)
        except TimeoutError:
            return f"{self._name}: did not answer within {_READY_SECONDS:g} s"
        except FlowgaugeError as error:
            return f"{self._name}: {spell(str(error))}"
        # Strangers ask: a traceback for each would fill the log.
        except Exception as error:  # noqa: BLE001
            return f"{self._name}: cannot be asked, by a defect, {type(error).__name__}"
        return None

    def _asked(self) -> "Future[object]":
        now = time.monotonic()
        is_old = now - self._begun > _SHARED_SECONDS
        if self._asking is None or (self._asking.done() and is_old):
            self._begun = now
            self._asking = in_background(self._check, f"ready-{self._name}")
        return self._asking


async def _beside(work: Callable[[], _T], name: str) -> _T:
    # The event loop's own threads would hold up the end of the process while they hang.
    return await asyncio.wrap_future(in_background(work, name))
