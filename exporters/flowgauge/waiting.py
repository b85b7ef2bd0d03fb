"""Strangers before a costly door: few may wait there, and fewer of one host."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

__all__ = ["Waiting"]

_MOST = 10
_MOST_OF_A_HOST = 5


class Waiting:
    """Those who wait for the same thing; one host's crowd leaves room for others.

    For one event loop.
    """

    def __init__(self) -> None:
        self._of_hosts: Counter[str] = Counter()

    def refusal(self, request: Request) -> Response | None:
        """Return what says to come later (429), None if there is room for *request*."""
        host = _host(request)
        if self._of_hosts.total() < _MOST and self._of_hosts[host] < _MOST_OF_A_HOST:
            return None
        return PlainTextResponse("Too many logins, try again.\n", 429, {"Retry-After": "1"})

    @contextmanager
    def place(self, request: Request) -> Iterator[None]:
        """Let *request* wait in the block."""
        host = _host(request)
        self._of_hosts[host] += 1
        try:
            yield
        finally:
            self._of_hosts[host] -= 1
            self._of_hosts += Counter()  # without those that have none left


def _host(request: Request) -> str:
    return request.client.host if request.client else ""
