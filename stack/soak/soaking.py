"""The load: users, DAGs, clients that leave, scrapers; and the parts that bear it."""

import itertools
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from flowgauge.airflow import log_with_mlflow
from flowgauge.dag_headers import dag_headers
from stack.exporter import exporter
from stack.incidents.load import NO_RATE_LIMIT, environment, new_run, repeatedly
from stack.mlflow import mlflow_server, workers
from stack.process import command_line, free_port
from stack.relay import relay
from stack.soak.watching import Trend, Watch

__all__ = ["Soaked", "soak"]

_API = "/api/2.0/mlflow"
_PATIENCE_SECONDS = 60
# More than have a place: the list is full soon.
_DAGS = 1200
# They begin at once.
_SCRAPERS = 50


@dataclass(frozen=True)
class Soaked:
    """What was done, and what the processes took meanwhile."""

    done: Counter[str]
    trends: dict[str, Trend]

    @property
    def grew(self) -> dict[str, list[str]]:
        """What of which process grew."""
        return {name: trend.grew for name, trend in self.trends.items() if trend.grew}


def soak(folder: Path, seconds: float, scrape_seconds: float = 5) -> Soaked:
    """Load MLflow with the server app, exporter and relay for so many *seconds*.

    Users ask as fast as they are answered; each of the scrapers waits *scrape_seconds* in between.
    """
    done: Counter[str] = Counter()
    store = f"sqlite:///{folder}/store.db"
    env = {"FLOWGAUGE_INVENTORY_SECONDS": "5"}
    options = ["--app-name", "flowgauge"]
    with ExitStack() as parts:
        enter = parts.enter_context
        mlflow = enter(mlflow_server(folder / "mlflow", options=options, workers=2, env=env))
        port = free_port()
        page = enter(exporter(folder / "exporter", mlflow_uri=mlflow.url, store=store, port=port))
        # With the default limit it would send less than a DAG here logs, and have little to do.
        sending = enter(
            relay(folder / "relay", mlflow_uri=mlflow.url, store=store, env=NO_RATE_LIMIT)
        )
        [first, second] = workers(mlflow.pid)
        watch = Watch(
            {
                "server worker 1": first,
                "server worker 2": second,
                "exporter": _listening(port),
                "relay": psutil.Process(sending.process.pid),
            }
        )
        enter(_tasks(folder, mlflow.url, store, done))
        enter(_users(mlflow.url, done))
        for name, url in {"server": mlflow.url, "exporter": page, "relay": sending.url}.items():
            scraping = _counted(
                done, f"scrapes of {name}", _scrape(url), threads=_SCRAPERS, pause=scrape_seconds
            )
            enter(scraping)
        enter(_counted(done, "clients that left", _leave(mlflow.url), threads=1, pause=0.2))
        watch.until(time.monotonic() + seconds, every=max(seconds / 200, 0.5))
    return Soaked(done, watch.trends())


def _listening(port: int) -> psutil.Process:
    """Return the child of this process that was told to listen on *port*."""
    children = psutil.Process().children()
    [found] = [child for child in children if f":{port}" in command_line(child)]
    return found


@contextmanager
def _tasks(folder: Path, uri: str, store: str, done: Counter[str]) -> Iterator[None]:
    settings = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CTX_DAG_ID": "soaked",
        "AIRFLOW_CTX_TASK_ID": "load",
        "FLOWGAUGE_STORE": store,
        "MLFLOW_TRACKING_URI": uri,
    }

    def log() -> None:
        log_with_mlflow({"rows": 1}, delivery="later")

    with environment(settings), _counted(done, "payloads", log, threads=1, pause=1):
        yield


@contextmanager
def _users(uri: str, done: Counter[str]) -> Iterator[None]:
    run_id = new_run(uri)
    artifact = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/soaked.bin"
    metric = {"run_id": run_id, "key": "loss", "value": 0.5, "timestamp": 0}
    # A connection for each request: those that stay would make one worker's descriptors another's.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=uri, timeout=_PATIENCE_SECONDS, limits=limits) as client:
        requests: list[Callable[[dict[str, str]], httpx.Response]] = [
            lambda headers: client.get(f"{_API}/runs/get?run_id={run_id}", headers=headers),
            lambda headers: client.post(f"{_API}/runs/log-metric", json=metric, headers=headers),
            lambda headers: client.put(artifact, content=bytes(100_000), headers=headers),
            lambda headers: client.get(artifact, headers=headers),
            lambda headers: client.get(f"/no/such/{random.random()}", headers=headers),
        ]
        turns, lock = itertools.count(), threading.Lock()

        def ask() -> None:
            with lock:
                turn = next(turns)
            answer = requests[turn % len(requests)](dag_headers(f"dag{turn % _DAGS}", "load"))
            if answer.is_server_error:
                answer.raise_for_status()

        with _counted(done, "requests", ask, threads=4, pause=0):
            yield


def _scrape(url: str) -> Callable[[], object]:
    # To read the certificates, which plain HTTP needs not, would take most of the processor.
    get = partial(httpx.get, f"{url}/metrics", timeout=_PATIENCE_SECONDS, verify=False)
    return lambda: get().raise_for_status()


def _leave(url: str) -> Callable[[], None]:
    address = urlsplit(url)
    sent = f"PUT {_API} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 100\r\n\r\n".encode()

    def leave() -> None:
        with socket.create_connection((str(address.hostname), int(address.port or 0))) as client:
            client.sendall(sent[: random.randrange(len(sent) + 1)])

    return leave


@contextmanager
def _counted(
    done: Counter[str], what: str, action: Callable[[], object], *, threads: int, pause: float
) -> Iterator[None]:
    """Do *action* again and again; a failure is counted as one, for the load is to go on."""
    lock = threading.Lock()

    def act() -> None:
        name = f"{what} that failed"
        with suppress(httpx.HTTPError, OSError):
            action()
            name = what
        with lock:
            done[name] += 1

    with repeatedly(act, threads=threads, pause=pause):
        yield
