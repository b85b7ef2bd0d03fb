"""A gateway before a real MLflow, as companies have them: it lets in who sends its headers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import httpx

from stack.http_server import serving

__all__ = ["gated"]


@contextmanager
def gated(mlflow_url: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Pass requests that bear *headers* on to MLflow, and answer 401 to all others."""

    class Gate(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if any(self.headers.get(name) != value for name, value in headers.items()):
                # A careless gateway: what it answers names what it was sent.
                self._answer(401, f"who is {self.headers.get('Authorization')}?".encode())
                return
            kind = {"Content-Type": "application/json"}
            url = mlflow_url + self.path
            answer = client.request(self.command, url, content=body, headers=kind)
            self._answer(answer.status_code, answer.content)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = _pass_on  # noqa: N815 - the names http.server calls

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with httpx.Client(timeout=30) as client, serving(Gate) as url:
        yield url
