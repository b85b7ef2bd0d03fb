"""Servers that behave as badly as real ones sometimes do: no answer, half of one, a wrong one."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stack.http_server import serving
from stack.process import LOOPBACK

__all__ = ["CannedServer", "canned_server", "flooding_server", "raw_server"]


class CannedServer(ThreadingHTTPServer):
    """Answers every request with `status`, `headers` and `body`; remembers the last request.

    Paths that contain `hangs` it does not answer before the end. `pages` are bodies by path, beside
    which there is nothing (404).
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: str | bytes = "{}"
        self.hangs: str | None = None
        self.pages: dict[str, str] = {}
        self.end = threading.Event()
        self.seen: dict[str, str] = {}

    def handle_error(self, request: object, client_address: object) -> None:
        """Be silent about clients that did not wait."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: CannedServer

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen = {name.lower(): value for name, value in self.headers.items()}
        if self.server.hangs and self.server.hangs in self.path:
            self.server.end.wait()
        status, body = self.server.status, self.server.body
        if pages := self.server.pages:
            page = pages.get(self.path.partition("?")[0])
            status, body = (404, "") if page is None else (200, page)
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Be silent."""


@contextmanager
def canned_server() -> Iterator[CannedServer]:
    """Run a `CannedServer` until the block ends."""
    with CannedServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.end.set()
        server.shutdown()


@contextmanager
def flooding_server(start: bytes) -> Iterator[tuple[str, list[int]]]:
    """Answer each request with *start*, and then spaces as long as they are taken.

    Yields the address, and how many bytes each connection has taken.
    """
    taken: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def _flood(self) -> None:
            number = len(taken)
            taken.append(0)
            self.wfile.write(start)
            part = b" " * 2**20
            with suppress(OSError):
                while True:
                    self.wfile.write(part)
                    taken[number] += len(part)

        do_GET = do_POST = _flood  # noqa: N815 - the names http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Be silent."""

    with serving(Handler) as url:
        yield url, taken


@contextmanager
def raw_server(answer: bytes, *, pause: float = 0, hang_up: bool = False) -> Iterator[str]:
    """Accept connections, send *answer* byte by byte with a *pause*, then hang (up)."""
    listener = socket.create_server((LOOPBACK, 0))
    accepted: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):
            for byte in answer:
                connection.send(bytes([byte]))
                time.sleep(pause)
            if hang_up:
                connection.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                accepted.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with closing(listener):
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    for connection in accepted:
        connection.close()
