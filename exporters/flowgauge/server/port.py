"""A port of its own for the page, whichever workers live."""

import threading

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from flowgauge.address import listen
from flowgauge.connections import BoundedServer, most_connections
from flowgauge.server.access import ADDRESS_VARIABLE

__all__ = ["serve_page"]

_MOST_CONNECTIONS = 64


def serve_page(page: ASGIApp, path: str, address: tuple[str, int]) -> None:
    """Serve *page* at *path* of *address*, in a thread of this worker, as long as it lives.

    Every worker listens there, and the kernel gives each scrape to one of the living: nobody has
    to notice that another died. Strangers take no more of a worker's descriptors, which are
    MLflow's, than a few connections do. Raises `FlowgaugeError` if somebody else listens there.
    """
    config = uvicorn.Config(
        Starlette(routes=[Route(path, page)]),
        http="h11",
        lifespan="off",
        log_config=None,  # uvicorn's loggers are MLflow's here
        loop="asyncio",
        proxy_headers=False,
        server_header=False,
        ws="none",
    )
    listener = listen(*address, ADDRESS_VARIABLE, shared=True)
    server = BoundedServer(config, most_connections(_MOST_CONNECTIONS), lambda: None)
    threading.Thread(
        target=server.run, args=([listener],), name="flowgauge-metrics-port", daemon=True
    ).start()
