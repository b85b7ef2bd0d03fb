"""An HTTP server that keeps what it is sent: where Alertmanager's notifications arrive."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stack.process import LOOPBACK

__all__ = ["Delivery", "Webhook", "webhook"]


@dataclass(frozen=True)
class Delivery:
    """One POST: its path, headers (lower case) and JSON body."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Webhook:
    """A running receiver and what it has received, in order."""

    url: str
    deliveries: list[Delivery] = field(default_factory=list)

    def at(self, path: str) -> list[Delivery]:
        """Return the deliveries to *path*."""
        return [delivery for delivery in self.deliveries if delivery.path == path]


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Run a receiver on loopback until the block ends; every POST is answered with 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.deliveries.append(Delivery(self.path, headers, json.loads(body)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Be silent."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        receiver = Webhook(f"http://{LOOPBACK}:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield receiver
        server.shutdown()
