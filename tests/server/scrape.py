"""Reading `/metrics` as Prometheus does, and telling which worker answered."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp

from stack.mlflow import workers
from stack.process import wait_for

__all__ = [
    "Change",
    "Page",
    "answered_by",
    "ask",
    "one_connection",
    "parse",
    "scrape",
    "settled",
    "workers",
]


@dataclass(frozen=True)
class Page:
    """What one scrape showed."""

    text: str
    samples: tuple[tuple[str, dict[str, str], float], ...]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the series *name* that carry *labels*; 0 if there is none."""
        return sum(value for _, value in self.series(name, **labels))

    def series(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and values of the series *name* that carry *labels*."""
        return [
            (found, value)
            for sample, found, value in self.samples
            if sample == name and labels.items() <= found.items()
        ]

    def labels(self, name: str, label: str) -> set[str]:
        """Return the values of *label* in the series *name*."""
        return {labels[label] for labels, _ in self.series(name)}

    def counters(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return every series that only ever grows, but for those of a single process."""
        return {
            (name, frozenset(labels.items())): value
            for name, labels, value in self.samples
            if name.endswith(("_total", "_bucket", "_count", "_sum")) and "pid" not in labels
        }


def parse(text: str) -> Page:
    """Return *text*, in Prometheus' text format, as a page."""
    return Page(
        text,
        tuple(
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ),
    )


def scrape(url: str) -> Page:
    """Scrape the server at *url* over a connection of its own, so by any of its workers."""
    return parse(httpx.get(f"{url}/metrics", timeout=60).raise_for_status().text)


def settled(url: str) -> Page:
    """Scrape *url* once every request is counted: a client has its answer before, if only just.

    Two scrapes must show the same: MLflow's threads go on after an answer, too.
    """
    page = scrape(url)

    def still() -> bool:
        nonlocal page
        before, page = page, scrape(url)
        idle = page.value("mlflow_http_requests_in_progress") == 0
        return idle and page.counters() == before.counters()

    wait_for(still, "nothing is in progress")
    return page


def ask(app: ASGIApp, path: str, method: str = "GET", **request: Any) -> httpx.Response:
    """Return what *app* answers to a request, without a server."""

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **request)

    return anyio.run(answer)


class Change:
    """How far counters have moved since the object was made."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._before = settled(url)

    def of(self, name: str, **labels: str) -> float:
        """Return by how much the series *name* with *labels* grew."""
        return settled(self._url).value(name, **labels) - self._before.value(name, **labels)


@contextmanager
def one_connection(url: str) -> Iterator[httpx.Client]:
    """Give a client whose requests all go to one worker."""
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


def answered_by(response: httpx.Response, server_pid: int) -> int:
    """Return the pid of the worker that holds the connection *response* came over."""
    ours = tuple(response.extensions["network_stream"].get_extra_info("client_addr"))
    for worker in workers(server_pid):
        if any(ours == tuple(connection.raddr) for connection in worker.net_connections()):
            return worker.pid
    raise AssertionError(f"no worker holds the connection from {ours}")
