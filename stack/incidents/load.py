"""What users do meanwhile: requests to MLflow, and a DAG that logs."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import httpx

from flowgauge.airflow import log_with_mlflow

__all__ = [
    "NO_RATE_LIMIT",
    "Request",
    "ask",
    "dag_logging",
    "environment",
    "log_epochs",
    "log_metric",
    "log_payload",
    "new_run",
    "read_history",
    "read_run",
    "repeatedly",
    "traffic",
    "upload",
]

# MLflow lets a request wait 30 s for a database connection.
_PATIENCE_SECONDS = 40

NO_RATE_LIMIT = {
    "FLOWGAUGE_RATE_LIMITS": '{"mlflow_api": {"max_calls": 1000, "window_seconds": 60}}'
}
"""What spares tasks the default limit, which is not as much faster as the rules are here."""

# A process has one environment.
_one_task = threading.Lock()

Request = Callable[[httpx.Client], object]


def new_run(uri: str, **fields: object) -> str:
    """Start a run of the default experiment, with *fields* of MLflow's REST API; return its id."""
    answer = httpx.post(
        f"{uri}/api/2.0/mlflow/runs/create", json={"experiment_id": "0", **fields}, timeout=60
    )
    run_id: str = answer.raise_for_status().json()["run"]["info"]["run_id"]
    return run_id


def read_run(run_id: str) -> Request:
    """Return a request that reads a run."""
    return lambda client: client.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id})


def log_metric(run_id: str) -> Request:
    """Return a request that logs a metric."""
    body = {"run_id": run_id, "key": "loss", "value": 0.5, "timestamp": 0}
    return lambda client: client.post("/api/2.0/mlflow/runs/log-metric", json=body)


def log_epochs(run_id: str) -> Request:
    """Return a request that logs 50 metrics anew, for which MLflow asks its database 60 times."""

    def log(client: httpx.Client) -> object:
        now = time.time_ns() // 1_000_000
        epochs = [{"key": f"loss_{n}", "value": 0.5, "timestamp": now} for n in range(50)]
        body = {"run_id": run_id, "metrics": epochs}
        return client.post("/api/2.0/mlflow/runs/log-batch", json=body)

    return log


def read_history(run_id: str) -> Request:
    """Return a request that reads all values of a metric."""
    query = {"run_id": run_id, "metric_key": "loss"}
    return lambda client: client.get("/api/2.0/mlflow/metrics/get-history", params=query)


def upload(run_id: str, name: str = "model.txt") -> Request:
    """Return a request that uploads the artifact *name*."""
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/{name}"
    return lambda client: client.put(path, content=b"weights")


def ask(path: str) -> Request:
    """Return a request that asks a language model behind *path* a question."""
    body = {"messages": [{"role": "user", "content": "Is all well?"}]}
    return lambda client: client.post(path, json=body)


@contextmanager
def traffic(
    uri: str, requests: Sequence[Request], *, clients: int = 2, pause: float = 0.1
) -> Iterator[None]:
    """Let each of *clients* make *requests* in turn, *pause* seconds apart, until the block ends.

    Their failures are the server's business.
    """
    turns = itertools.cycle(requests)
    lock = threading.Lock()

    def request() -> None:
        with lock:
            make = next(turns)
        with suppress(httpx.HTTPError):
            make(client)

    with (
        httpx.Client(base_url=uri, timeout=_PATIENCE_SECONDS) as client,
        repeatedly(request, threads=clients, pause=pause),
    ):
        yield


@contextmanager
def dag_logging(uri: str, store: str, dag_id: str, *, pause: float) -> Iterator[None]:
    """Let a task of *dag_id* log a payload every *pause* seconds until the block ends."""
    with repeatedly(lambda: log_payload(uri, store, dag_id), pause=pause):
        yield


def log_payload(uri: str, store: str, dag_id: str) -> None:
    """Log a payload as a task of *dag_id* would."""
    settings = {
        "MLFLOW_TRACKING_URI": uri,
        "FLOWGAUGE_STORE": store,
        "AIRFLOW_CTX_DAG_ID": dag_id,
        "AIRFLOW_CTX_TASK_ID": "load",
        **NO_RATE_LIMIT,
    }
    with _one_task, environment(settings):
        log_with_mlflow({"rows": 1000})


@contextmanager
def repeatedly(action: Callable[[], object], *, threads: int = 1, pause: float) -> Iterator[None]:
    """Do *action* in each of *threads* again and again, *pause* seconds apart."""
    end = threading.Event()

    def work() -> None:
        while not end.is_set():
            action()
            end.wait(pause)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        end.set()
        for worker in workers:
            worker.join()


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Add *settings* to this process's environment until the block ends."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
