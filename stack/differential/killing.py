"""Workers that are killed while they serve: what the counters of a measured server make of it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

from stack.mlflow import MlflowServer, workers
from stack.process import wait_for

__all__ = ["Killed", "kill_workers"]

_PATH = "/api/2.0/mlflow/experiments/get"
_CLIENTS = 8
_PATIENCE_SECONDS = 150

_Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass
class Killed:
    """What clients were answered, and what the page said meanwhile.

    Of each kill a request a client may be missing: it was answered, and the worker killed before it
    had counted it.
    """

    kills: int = 0
    answered: int = 0
    counted: float = 0
    may_be_missing: int = 0
    scrapes: int = 0
    fell: set[object] = field(default_factory=set)


def kill_workers(server: MlflowServer, kills: int) -> Killed:
    """Kill so many workers of *server*, one after the other, while several clients ask it."""
    aftermath = Killed()
    over, lock = threading.Event(), threading.Lock()

    def ask() -> None:
        while not over.is_set():
            try:
                with httpx.Client(base_url=server.url, timeout=_PATIENCE_SECONDS) as client:
                    while not over.is_set():
                        client.get(_PATH, params={"experiment_id": "0"}).raise_for_status()
                        with lock:
                            aftermath.answered += 1
            except httpx.HTTPError:
                continue

    last: dict[_Series, float] = {}

    def look() -> None:
        found = _counters(server.url)
        aftermath.scrapes += 1
        # A series may not go away either.
        aftermath.fell |= {name for name, value in last.items() if found.get(name, -1) < value}
        last.update(found)

    number = len(workers(server.pid))
    clients = [threading.Thread(target=ask) for _ in range(_CLIENTS)]
    for client in clients:
        client.start()
    try:
        for kill in range(kills):
            enough = aftermath.answered + 20
            wait_for(lambda: aftermath.answered > enough, "it serves")  # noqa: B023
            look()
            workers(server.pid)[kill % number].kill()
            aftermath.kills += 1
            aftermath.may_be_missing += _CLIENTS
            look()
            wait_for(
                lambda: len(workers(server.pid)) == number,
                "the worker is replaced",
                timeout=_PATIENCE_SECONDS,
            )
    finally:
        over.set()
        for client in clients:
            client.join()
    look()
    aftermath.counted = sum(
        value
        for (name, labels), value in _counters(server.url).items()
        if name == "mlflow_http_requests_total" and labels >= {("route", _PATH), ("status", "200")}
    )
    return aftermath


def _counters(url: str) -> Mapping[_Series, float]:
    text = httpx.get(f"{url}/metrics", timeout=_PATIENCE_SECONDS).raise_for_status().text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.endswith(("_total", "_bucket", "_count", "_sum"))
        and "pid" not in sample.labels
    }
