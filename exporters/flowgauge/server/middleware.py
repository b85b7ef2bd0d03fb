"""Pure ASGI middleware around the whole of MLflow: every HTTP request is counted and timed."""

import time
from collections.abc import Callable, Iterable
from http import HTTPMethod
from typing import TYPE_CHECKING

from flowgauge.probe import is_probe
from flowgauge.server.business import count_business
from flowgauge.server.current import CURRENT
from flowgauge.server.gateway import count_gateway
from flowgauge.server.mlflow_host import GATEWAY
from flowgauge.server.routes import OTHER, Routes, path_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from flowgauge.server.containment import Containment
    from flowgauge.server.dag_requests import DagRequests
    from flowgauge.server.instruments import Instruments

__all__ = ["MetricsMiddleware"]

_METHODS = frozenset(HTTPMethod)
_PROBE = "probe"
_CLIENT_GONE = 499  # nginx's code, in wide use
_REFUSED = range(400, 500)
_SERVER_ERROR = 500
_TOO_MANY = 429
# As MLflow answers when its database, or whatever it needs, is away.
_OUTAGES = ("500", "503")


class MetricsMiddleware:
    """Measures *app*, and answers `/metrics` with *page* at each of *page_paths*.

    The page comes before MLflow, hence before its check of the Host header: a Prometheus that
    scrapes `mlflow:5000` would get 403 from MLflow. A scrape is not counted as a request.
    Lifespan and websockets pass through; *at_start* is called in the event loop, before it serves.
    A fault in measuring is *contained*.
    """

    def __init__(
        self,
        app: "ASGIApp",
        *,
        instruments: "Instruments",
        contained: "Containment",
        dags: "DagRequests",
        routes: Routes,
        page: "ASGIApp",
        page_paths: frozenset[str],
        at_start: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self._instruments = instruments
        self._contained = contained
        self._dags = dags
        self._routes = routes
        self._page = page
        self._page_paths = page_paths
        self._at_start = at_start
        self._clock = clock
        # Methods and routes by which somebody was served.
        self._served: set[tuple[str, str]] = set()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            with self._contained:
                self._at_start()
            await self._app(scope, receive, send)
        elif path_of(scope) in self._page_paths:
            await self._page(scope, receive, send)
        else:
            await self._measure(scope, receive, send)

    async def _measure(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        exchange = _Exchange(receive, send)
        CURRENT.set(exchange)
        start = self._clock()
        with self._contained:
            self._instruments.http_in_progress.inc()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except BaseException:
            exchange.broke()
            raise
        finally:
            with self._contained:
                self._instruments.http_in_progress.dec()
                self._count(scope, exchange, self._clock() - start)

    def _count(self, scope: "Scope", exchange: "_Exchange", seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        route = _PROBE if is_probe(scope["headers"]) else self._routes.template(scope)
        status = exchange.status or _SERVER_ERROR
        self._instruments.http_requests(method, route, str(status)).inc()
        self._note(method, route, status)
        timed = route if (method, route) in self._served else OTHER
        self._instruments.http_duration(method, timed).observe(seconds)
        if route.startswith(GATEWAY):
            count_gateway(self._instruments, route, status, exchange.headers)
        work = count_business(self._instruments, method, route, status, exchange.received)
        failed = status >= _SERVER_ERROR or status == _TOO_MANY or exchange.waited_in_vain
        self._dags.count(scope["headers"], work, failed=failed, seconds=seconds)

    def _note(self, method: str, route: str, status: int) -> None:
        """Note that somebody was served by a method and route, the first time.

        Nobody was who is refused, and any may ask for the OPTIONS. Until then times are those of
        `other`: a histogram is twenty series, and a stranger who walks over all routes is to leave
        few. From then on failures are shown, with 0: a series that is born at 1 has no increase,
        and of few failures, spread over routes and servers, most are the first of their series.
        """
        pair = method, route
        if pair in self._served or status in _REFUSED or method == HTTPMethod.OPTIONS:
            return
        self._served.add(pair)
        for outage in _OUTAGES:
            self._instruments.http_requests(method, route, outage)


class _Exchange:
    """One request and its answer, as the messages that pass show them.

    `status` is the answer's, 499 if the application learned that the client was gone before it
    answered, None as long as neither happened. `received` counts the body's bytes.
    `waited_in_vain` says that no database connection was to be had.
    """

    def __init__(self, receive: "Receive", send: "Send") -> None:
        self._receive = receive
        self._send = send
        self.status: int | None = None
        self._start: Message | None = None
        self.received = 0
        self.waited_in_vain = False

    @property
    def headers(self) -> Iterable[tuple[bytes, bytes]]:
        """The answer's headers; none before it has begun."""
        return self._start.get("headers", ()) if self._start else ()

    async def receive(self) -> "Message":
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.status = self.status or _CLIENT_GONE
        else:
            self.received += len(message.get("body", b""))
        return message

    async def send(self, message: "Message") -> None:
        if message["type"] == "http.response.start":
            self.status = self.status or message["status"]
            self._start = message
        await self._send(message)

    def broke(self) -> None:
        """Note that the application failed, even if half an answer had left."""
        if self.status != _CLIENT_GONE:
            self.status = _SERVER_ERROR
