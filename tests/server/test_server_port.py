"""The page's own port among strangers."""

import socket
from contextlib import ExitStack

import httpx
from starlette.responses import PlainTextResponse

from flowgauge.server.port import serve_page
from stack.process import LOOPBACK, accepts, free_port, wait_for


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_strangers_take_few_connections_and_keep_nobody_out() -> None:
    """Whoever connects and asks for nothing gives way: a scrape is answered, MLflow's rest kept."""
    port = free_port()
    serve_page(PlainTextResponse("up 1\n"), "/metrics", (LOOPBACK, port))
    wait_for(lambda: accepts(port), "the port is served")
    with ExitStack() as strangers:
        connections = []
        for number in range(300):
            stranger = socket.create_connection((LOOPBACK, port), timeout=60)
            strangers.enter_context(stranger)
            if number % 3 == 0:
                stranger.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
            connections.append(stranger)
        assert httpx.get(f"http://{LOOPBACK}:{port}/metrics", timeout=60).text == "up 1\n"
        wait_for(lambda: sum(map(_is_open, connections)) <= 64, "the others are closed")
