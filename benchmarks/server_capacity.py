"""How many requests a MLflow with the server app can take, of what a stock one can.

    python -m benchmarks.server_capacity

Both servers run, on one worker and SQLite each, and `wrk` asks now one, now the other, as fast as
it answers, over eight connections. The ratio is that of two rounds one after the other; the order
changes from pair to pair, and the median of all pairs counts. CPU is what a server's processes used
for a request. wrk is Debian's package of that name.
"""

import re
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
import psutil

from stack.mlflow import MlflowServer, mlflow_server

_PAIRS, _SECONDS, _WARM_UP_SECONDS = 14, 4, 4
_API = "/api/2.0/mlflow"
_REQUESTS = {"GET health": "/health", "GET runs/get": f"{_API}/runs/get?run_id={{run_id}}"}
_TOTAL = re.compile(r"(\d+) requests in ([\d.]+)s")


def _run_id(server: MlflowServer) -> str:
    made = httpx.post(f"{server.url}{_API}/runs/create", json={"experiment_id": "0"}, timeout=60)
    run_id: str = made.raise_for_status().json()["run"]["info"]["run_id"]
    return run_id


def _cpu_seconds(server: MlflowServer) -> float:
    times = [child.cpu_times() for child in psutil.Process(server.pid).children(recursive=True)]
    return sum(used.user + used.system for used in times)


def _round(server: MlflowServer, url: str, seconds: int) -> tuple[float, float]:
    """Return how many requests a second were answered, and the CPU seconds of one."""
    used = _cpu_seconds(server)
    command = ["wrk", "--threads", "1", "--connections", "8", "--duration", f"{seconds}s", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = _cpu_seconds(server) - used
    found = _TOTAL.search(said)
    if not found or "Non-2xx" in said:
        raise SystemExit(f"wrk: {said}")
    requests, took = int(found[1]), float(found[2])
    return requests / took, used / requests


def _compare(servers: Sequence[MlflowServer], name: str) -> str:
    urls = [server.url + _REQUESTS[name].format(run_id=_run_id(server)) for server in servers]
    for server, url in zip(servers, urls, strict=True):
        _round(server, url, _WARM_UP_SECONDS)
    rounds: list[dict[int, tuple[float, float]]] = []
    for pair in range(_PAIRS):
        order = (0, 1) if pair % 2 else (1, 0)
        rounds.append({at: _round(servers[at], urls[at], _SECONDS) for at in order})
    stock, app = (statistics.median(each[at][0] for each in rounds) for at in (0, 1))
    ratios = [each[1][0] / each[0][0] for each in rounds]
    low, _, high = statistics.quantiles(ratios, n=4)
    cpu = statistics.median(each[0][1] / each[1][1] for each in rounds)
    return (
        f"| {name} | {stock:.0f} a second | {app:.0f} a second | {statistics.median(ratios):.1%}"
        f" | {low:.1%} to {high:.1%} | {cpu:.1%} |"
    )


def main() -> None:
    """Print the table."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mlflow_server(Path(folder, "stock")) as stock,
        mlflow_server(Path(folder, "app"), options=("--app-name", "flowgauge")) as app,
    ):
        print("| request | stock | app | of it | half of the pairs | by CPU |")
        print("|---|--:|--:|--:|--:|--:|")
        for name in _REQUESTS:
            print(_compare((stock, app), name), flush=True)


if __name__ == "__main__":
    main()
