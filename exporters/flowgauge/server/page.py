"""The page `/metrics`."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from flowgauge.exposition import exposition

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["Guard", "MetricsPage"]

Guard = Callable[[Request], Response | None]
"""Returns the refusal for a request that may not see the page, else None."""


class MetricsPage:
    """Shows *collector* in Prometheus' text format or, if asked for, OpenMetrics; gzip if asked.

    It holds counts, routes and pool names: no payload, no address and no credential. *guard* may
    refuse a request. The page is made in a thread of its own: neither the event loop nor MLflow's
    threads, which may all be waiting for the database just when a scrape matters, take part.
    """

    def __init__(self, collector: Collector, guard: Guard | None = None) -> None:
        self._collector = collector
        self._guard = guard
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flowgauge-metrics")

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one HTTP request."""
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(self._thread, self._respond, Request(scope))
        await response(scope, receive, send)

    def _respond(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Use GET.\n", 405, {"Allow": "GET, HEAD"})
        refusal = self._guard(request) if self._guard else None
        return refusal or exposition(self._collector, request)
