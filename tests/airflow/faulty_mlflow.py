"""An MLflow that breaks off: a real one behind a proxy that loses some answers."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import httpx

from stack.http_server import serving
from stack.process import LOOPBACK

__all__ = [
    "answering",
    "faulty_mlflow",
    "losing_answers",
    "respond",
    "silent_server",
    "withholding",
]


Fault = Callable[[BaseHTTPRequestHandler, httpx.Response], bool]
"""Answers a request in place of MLflow, whose answer it is given; says whether it did."""


@contextmanager
def faulty_mlflow(mlflow_url: str, endpoint: str, fault: Fault) -> Iterator[str]:
    """Pass everything on to MLflow, and leave the answers of *endpoint* to *fault*."""

    class Proxy(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            answer = _passed_on(self, mlflow_url)()
            if self.path.partition("?")[0].endswith(endpoint) and fault(self, answer):
                return
            respond(self, answer.status_code, answer.content)

        do_GET = do_POST = _pass_on  # noqa: N815 - the names http.server calls

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with serving(Proxy) as url:
        yield url


@contextmanager
def withholding(
    mlflow_url: str, endpoint: str
) -> Iterator[tuple[str, list[Callable[[], httpx.Response]]]]:
    """Pass everything on to MLflow, but keep back what is asked of *endpoint*, and break off.

    Yields the address, and what lets each request through that was kept back.
    """
    kept: list[Callable[[], httpx.Response]] = []

    class Proxy(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            request = _passed_on(self, mlflow_url)
            if self.path.partition("?")[0].endswith(endpoint):
                kept.append(request)
                self.connection.close()
                return
            answer = request()
            respond(self, answer.status_code, answer.content)

        do_GET = do_POST = _pass_on  # noqa: N815 - the names http.server calls

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with serving(Proxy) as url:
        yield url, kept


def _passed_on(handler: BaseHTTPRequestHandler, mlflow_url: str) -> Callable[[], httpx.Response]:
    """Return what asks MLflow what *handler* was asked."""
    body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    return lambda: httpx.request(
        handler.command,
        mlflow_url + handler.path,
        content=body,
        headers={"Content-Type": "application/json"},
        timeout=30,
        # Certificates, which plain HTTP does not need, take longer to load than MLflow to answer.
        verify=False,
    )


def respond(
    handler: BaseHTTPRequestHandler,
    status: int,
    content: bytes,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer what *handler* was asked."""
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@contextmanager
def losing_answers(mlflow_url: str, endpoint: str) -> Iterator[str]:
    """Pass everything on to MLflow, but break off instead of answering requests to *endpoint*."""

    def lose(handler: BaseHTTPRequestHandler, _: httpx.Response) -> bool:
        handler.connection.close()
        return True

    with faulty_mlflow(mlflow_url, endpoint, lose) as url:
        yield url


@contextmanager
def answering(
    status: int, content: str, headers: Mapping[str, str] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Answer everything with this; yields the URL, and the paths asked for so far."""
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(self.path)
            respond(self, status, content.encode(), headers)

        do_GET = do_POST = _answer  # noqa: N815 - the names http.server calls

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with serving(Server) as url:
        yield url, asked


@contextmanager
def silent_server() -> Iterator[str]:
    """Accept connections and never answer."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield f"http://{LOOPBACK}:{server.getsockname()[1]}"
