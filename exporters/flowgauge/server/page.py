"""The page `/metrics`."""

import asyncio
import hmac
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from flowgauge.exposition import Format, format_for
from flowgauge.waiting import Waiting

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["Guard", "MetricsPage"]

Guard = Callable[[Request], Response | None]
"""Returns the refusal for a request that may not see the page, else None."""

_log = logging.getLogger(__name__)

_MOST_LOGINS = 100


class MetricsPage:
    """Shows *collector* in Prometheus' text format or, if asked for, OpenMetrics; gzip if asked.

    It holds counts, routes and pool names: no payload, no address and no credential. *guard* may
    refuse a request. The page is made in a thread of its own: neither the event loop nor MLflow's
    threads, which may all be waiting for the database just when a scrape matters, take part. Who
    waits for a page of the same format shares it, so that nobody waits for more than a few.

    To look at a login may take a processor for a tenth of a second. So strangers have one thread,
    for which few may wait, fewer still of one host, and others are told to come later (429); whose
    login was let in before does not wait behind them, but is looked at again each time.
    """

    def __init__(self, collector: Collector, guard: Guard | None = None) -> None:
        self._collector = collector
        self._guard = guard
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flowgauge-metrics")
        self._door = ThreadPoolExecutor(1, thread_name_prefix="flowgauge-login")
        self._lock = Lock()
        self._coming: dict[tuple[str, bool], Future[Response]] = {}
        self._waiting = Waiting()
        self._key = os.urandom(32)
        self._let_in: dict[bytes, None] = {}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one HTTP request."""
        response = await self._respond(Request(scope))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Use GET.\n", 405, {"Allow": "GET, HEAD"})
        try:
            refusal = await self._refusal(request, self._guard) if self._guard else None
        except Exception as error:  # noqa: BLE001 - a login fails as it likes, say without its database
            _log.warning("/metrics is refused: MLflow's login failed, %s.", type(error).__name__)
            return PlainTextResponse("MLflow's login failed, see its log.\n", 503)
        if refusal:
            return refusal
        # Others wait for it as well, should this one go.
        return await asyncio.shield(asyncio.wrap_future(self._next(format_for(request))))

    def _next(self, wanted: Format) -> "Future[Response]":
        """Return the page of that format that has not begun yet: it shows what was until now."""
        key = (wanted.content_type, wanted.is_packed)
        with self._lock:
            if key not in self._coming:
                self._coming[key] = self._thread.submit(self._made, wanted)
            return self._coming[key]

    def _made(self, wanted: Format) -> Response:
        with self._lock:
            del self._coming[wanted.content_type, wanted.is_packed]
        return wanted.page(self._collector)

    async def _refusal(self, request: Request, guard: Guard) -> Response | None:
        loop = asyncio.get_running_loop()
        login = hmac.digest(self._key, request.headers.get("authorization", "").encode(), "sha256")
        if login in self._let_in:
            refusal = await loop.run_in_executor(self._thread, guard, request)
        elif later := self._waiting.refusal(request):
            return later
        else:
            with self._waiting.place(request):
                refusal = await loop.run_in_executor(self._door, guard, request)
        self._let_in.pop(login, None)
        if refusal is None:
            self._let_in[login] = None
            while len(self._let_in) > _MOST_LOGINS:
                self._let_in.pop(next(iter(self._let_in)))
        return refusal
