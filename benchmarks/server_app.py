"""What the server app costs: the same requests to a stock MLflow and to one with the app.

Both servers run at once, on one worker and SQLite each, and are asked in turn, request by request,
so that a busy machine slows both alike. CPU is what a server's processes used per request; unlike
the response time it hardly depends on what else the machine does.

    python -m benchmarks.server_app
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from stack.mlflow import MlflowServer, mlflow_server

__all__ = ["API", "cpu_seconds", "create_run", "stock_and_app"]

PAIRS = 400
WARM_UP = 20
API = "/api/2.0/mlflow"

Request = Callable[[httpx.Client, str], httpx.Response]


def _log_metric(client: httpx.Client, run_id: str) -> httpx.Response:
    metric = {"run_id": run_id, "key": "rows", "value": 1.0, "timestamp": 1}
    return client.post(f"{API}/runs/log-metric", json=metric)


def _put_artifact(client: httpx.Client, run_id: str) -> httpx.Response:
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/bench.bin"
    return client.put(path, content=bytes(1_000_000))


REQUESTS: dict[str, Request] = {
    "GET health": lambda client, _: client.get("/health"),
    "GET runs/get": lambda client, run_id: client.get(f"{API}/runs/get?run_id={run_id}"),
    "POST runs/log-metric": _log_metric,
    "PUT artifact, 1 MB": _put_artifact,
}


@contextmanager
def stock_and_app() -> Iterator[tuple[MlflowServer, MlflowServer]]:
    """Start a stock MLflow and one with the app."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mlflow_server(Path(folder, "stock")) as stock,
        mlflow_server(Path(folder, "app"), options=("--app-name", "flowgauge")) as app,
    ):
        yield stock, app


def create_run(client: httpx.Client) -> str:
    """Start a run of the default experiment and return its id."""
    created = client.post(f"{API}/runs/create", json={"experiment_id": "0"})
    run_id: str = created.raise_for_status().json()["run"]["info"]["run_id"]
    return run_id


def _seconds(client: httpx.Client, request: Request, run_id: str) -> float:
    start = time.perf_counter()
    request(client, run_id).raise_for_status()
    return time.perf_counter() - start


def cpu_seconds(server: MlflowServer) -> float:
    """Return what the processes of *server* have used of the processor."""
    times = [child.cpu_times() for child in psutil.Process(server.pid).children(recursive=True)]
    return sum(used.user + used.system for used in times)


def _compare(servers: Sequence[MlflowServer], clients: Sequence[httpx.Client], name: str) -> str:
    request = REQUESTS[name]
    targets = [(client, create_run(client)) for client in clients]
    for _ in range(WARM_UP):
        for client, run_id in targets:
            _seconds(client, request, run_id)
    cpu = [-cpu_seconds(server) for server in servers]
    pairs = [
        [_seconds(client, request, run_id) for client, run_id in targets] for _ in range(PAIRS)
    ]
    cpu = [used + cpu_seconds(server) for used, server in zip(cpu, servers, strict=True)]
    stock, app = (statistics.median(seconds) * 1e3 for seconds in zip(*pairs, strict=True))
    stock_cpu, app_cpu = (used / PAIRS * 1e3 for used in cpu)
    return (
        f"| {name} | {stock:.2f} ms | {app:.2f} ms | {app / stock:.2f} "
        f"| {stock_cpu:.2f} ms | {app_cpu:.2f} ms | {app_cpu / stock_cpu:.2f} |"
    )


def main() -> None:
    """Print a table of median response times and CPU per request."""
    with (
        stock_and_app() as (stock, app),
        httpx.Client(base_url=stock.url, timeout=60) as to_stock,
        httpx.Client(base_url=app.url, timeout=60) as to_app,
    ):
        print("| request | stock p50 | app p50 | ratio | stock CPU | app CPU | ratio |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        for name in REQUESTS:
            print(_compare((stock, app), (to_stock, to_app), name))


if __name__ == "__main__":
    main()
