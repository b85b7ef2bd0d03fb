"""The process: listening until it is told to stop."""

import asyncio
import signal
import socket

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from flowgauge.connections import BoundedServer, most_connections
from flowgauge.exporter.tls import ServerTls

__all__ = ["serve"]

_MOST_CONNECTIONS = 256


def serve(app: ASGIApp, listener: socket.socket, tls: ServerTls) -> None:
    """Serve *app* on *listener* until SIGTERM or SIGINT; requests then have a second to end."""
    config = uvicorn.Config(
        _ends_in_peace(app),
        access_log=False,
        http="h11",
        lifespan="off",
        log_config=None,
        loop="asyncio",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        ws="none",
    )
    config.load()
    server = BoundedServer(config, most_connections(_MOST_CONNECTIONS), tls.context)

    def stop(_number: int, _frame: object) -> None:
        server.should_exit = True

    # uvicorn raises the signal again when it has stopped: without these handlers, the process
    # would end by the signal instead of with 0, and a signal before uvicorn's own would kill it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.run(sockets=[listener])


def _ends_in_peace(app: ASGIApp) -> ASGIApp:
    """Answer what is cancelled at the end, where uvicorn would log a traceback."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            await PlainTextResponse("The exporter is stopping.\n", 503)(scope, receive, send)

    return answering
