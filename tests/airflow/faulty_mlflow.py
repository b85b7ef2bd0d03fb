"""An MLflow that breaks off: a real one behind a proxy that loses some answers."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

from stack.process import LOOPBACK

__all__ = ["losing_answers", "silent_server"]


@contextmanager
def losing_answers(mlflow_url: str, endpoint: str) -> Iterator[str]:
    """Pass everything on to MLflow, but break off instead of answering requests to *endpoint*."""

    class Proxy(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = httpx.request(
                self.command,
                mlflow_url + self.path,
                content=body,
                headers={"Content-Type": "application/json"},
                timeout=30,
            )
            if self.path.endswith(endpoint):
                self.connection.close()
                return
            self.send_response(answer.status_code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = _pass_on  # noqa: N815 - the names http.server calls

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with _serving(ThreadingHTTPServer((LOOPBACK, 0), Proxy)) as url:
        yield url


@contextmanager
def silent_server() -> Iterator[str]:
    """Accept connections and never answer."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield f"http://{LOOPBACK}:{server.getsockname()[1]}"


@contextmanager
def _serving(server: ThreadingHTTPServer) -> Iterator[str]:
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
