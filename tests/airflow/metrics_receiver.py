"""What an OpenTelemetry collector would receive."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from stack.process import LOOPBACK

__all__ = ["Received", "metrics_receiver"]


class Received:
    """The bodies of the requests so far; protobuf keeps names as they are."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[bytes] = []

    def mentions(self, name: str) -> bool:
        """Return whether a metric or attribute of that name came in."""
        return any(name.encode() in body for body in self.bodies)


@contextmanager
def metrics_receiver() -> Iterator[Received]:
    """Accept OTLP over HTTP on loopback until the block ends."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Receiver)
    received = Received(f"http://{LOOPBACK}:{server.server_port}")
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
