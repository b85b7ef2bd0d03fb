"""What it costs to know which DAG calls MLflow: in the task, in the server, on the page.

CPU time of this process, not elapsed: it hardly depends on what else the machine does.

    python -m benchmarks.attribution
"""

import asyncio
import os
import tempfile
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

# prometheus_client decides at its import where metrics are kept.
FOLDER = Path(tempfile.mkdtemp(prefix="bench-attribution-"))
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(FOLDER)

from prometheus_client import generate_latest  # noqa: E402
from starlette.types import Message, Receive, Scope, Send  # noqa: E402
from starlette_exporter import PrometheusMiddleware  # noqa: E402
from werkzeug.routing import Map, Rule  # noqa: E402

from flowgauge.airflow.request_headers import AirflowRequestHeaders  # noqa: E402
from flowgauge.dag_headers import dag_headers  # noqa: E402
from flowgauge.server.business import Work  # noqa: E402
from flowgauge.server.containment import Containment  # noqa: E402
from flowgauge.server.dag_requests import DagRequests  # noqa: E402
from flowgauge.server.instruments import Instruments  # noqa: E402
from flowgauge.server.middleware import MetricsMiddleware  # noqa: E402
from flowgauge.server.routes import Routes  # noqa: E402
from flowgauge.server.worker_files import WorkerFiles  # noqa: E402

PATH = "/api/2.0/mlflow/runs/log-batch"
PAIRS, WORKERS = 1000, 4
# As MLflow's client sends them.
PLAIN = {"host": "mlflow:5000", "user-agent": "mlflow", "accept": "*/*", "connection": "keep-alive",
         "accept-encoding": "gzip", "content-type": "application/json", "content-length": "900",
         "authorization": "Basic x"}  # fmt: skip


def _microseconds(call: Callable[[], object], calls: int = 5000) -> float:
    return min(timeit.repeat(call, number=calls, repeat=7, timer=time.process_time)) / calls * 1e6


def _provider() -> None:
    provider = AirflowRequestHeaders()

    def ask() -> object:
        return provider.in_context() and provider.request_headers()

    print(f"| provider, outside Airflow | {_microseconds(ask):.1f} µs a request |")
    os.environ |= {"AIRFLOW_CTX_DAG_ID": "sales_daily", "AIRFLOW_CTX_TASK_ID": "train"}
    print(f"| provider, in a program of a task | {_microseconds(ask):.1f} µs a request |")
    from airflow.sdk.definitions._internal import contextmanager  # noqa: PLC0415

    context = {"dag": SimpleNamespace(dag_id="sales_daily"), "run_id": "r", "params": {"day": 1},
               "ti": SimpleNamespace(task_id="train", map_index=-1, try_number=1)}  # fmt: skip
    contextmanager._CURRENT_CONTEXT.append(context)  # noqa: SLF001 - as Airflow does
    print(f"| provider, in a task of Airflow 3 | {_microseconds(ask):.1f} µs a request |")


async def _mlflow(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def _receive() -> Message:
    return {"type": "http.request", "body": b"x" * 900, "more_body": False}


async def _send(_message: Message) -> None:
    pass


async def _per_request(app: Callable[..., object], headers: Sequence[tuple[bytes, bytes]]) -> float:
    # As FastAPI leaves it when it has answered.
    scope = {"type": "http", "path": PATH, "root_path": "", "method": "POST", "headers": headers,
             "query_string": b"", "scheme": "http", "server": ("mlflow", 5000), "app": None,
             "route": SimpleNamespace(path_format=PATH)}  # fmt: skip
    start = time.process_time()
    for _ in range(2000):
        await app(dict(scope), _receive, _send)  # type: ignore[misc]
    return (time.process_time() - start) / 2000 * 1e6


def _middleware(dags: DagRequests, instruments: Instruments, contained: Containment) -> None:
    app = MetricsMiddleware(
        _mlflow,
        instruments=instruments,
        contained=contained,
        dags=dags,
        routes=Routes(Map([Rule(PATH)]), ""),
        page=_mlflow,
        page_paths=frozenset(),
    )
    plain = [(name.encode(), value.encode()) for name, value in PLAIN.items()]
    named = plain + [
        (name.lower().encode(), value.encode())
        for name, value in dag_headers("sales_daily", "train").items()
    ]
    peer = PrometheusMiddleware(_mlflow)
    asked = {
        "no middleware": (_mlflow, plain),
        "middleware, without the headers": (app, plain),
        "middleware, with the headers": (app, named),
        "starlette_exporter": (peer, plain),
    }
    best = dict.fromkeys(asked, float("inf"))
    for _ in range(15):  # in turn, so that a busy machine slows all alike
        for said, (target, headers) in asked.items():
            best[said] = min(best[said], asyncio.run(_per_request(target, headers)))
    bare = best.pop("no middleware")
    for said, cost in best.items():
        print(f"| {said} | {cost - bare:.1f} µs a request |")


def _page(contained: Containment) -> None:
    work = Work(started_run=True, artifact_bytes=1000, logged=True)
    for _ in range(WORKERS):
        dags = DagRequests(FOLDER, PAIRS, contained)
        for number in range(PAIRS):
            named = dag_headers(f"dag_{number // 5:04}", f"task_{number % 5}").items()
            sent = [(name.lower().encode(), value.encode()) for name, value in named]
            dags.count(sent, work, failed=False, seconds=0.1)
    page = _microseconds(lambda: generate_latest(dags), 3) / 1e3
    size = len(generate_latest(dags)) / 1e3
    print(f"| page, {PAIRS} pairs of {WORKERS} workers | {page:.0f} ms, {size:.0f} kB |")
    whole = _microseconds(lambda: generate_latest(WorkerFiles(FOLDER)), 3) / 1e3
    print(f"| page, the rest of it | {whole:.0f} ms |")


def main() -> None:
    """Print a table."""
    print("| what | cost |\n|---|--:|")
    instruments = Instruments()
    contained = Containment(instruments.measuring_failed)
    _provider()
    _middleware(DagRequests(FOLDER, PAIRS, contained), instruments, contained)
    _page(contained)


if __name__ == "__main__":
    main()
