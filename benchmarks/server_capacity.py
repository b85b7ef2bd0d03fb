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
from collections.abc import Sequence

import httpx

from benchmarks.server_app import API, cpu_seconds, create_run, stock_and_app
from stack.mlflow import MlflowServer

_PAIRS, _SECONDS, _WARM_UP_SECONDS = 14, 4, 4
_REQUESTS = {"GET health": "/health", "GET runs/get": f"{API}/runs/get?run_id={{run_id}}"}
_TOTAL = re.compile(r"(\d+) requests in ([\d.]+)s")


def _round(server: MlflowServer, url: str, seconds: int) -> tuple[float, float]:
    """Return how many requests a second were answered, and the CPU seconds of one."""
    used = cpu_seconds(server)
    command = ["wrk", "--threads", "1", "--connections", "8", "--duration", f"{seconds}s", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(server) - used
    found = _TOTAL.search(said)
    if not found or "Non-2xx" in said:
        raise SystemExit(f"wrk: {said}")
    requests, took = int(found[1]), float(found[2])
    return requests / took, used / requests


def _compare(servers: Sequence[MlflowServer], name: str) -> str:
    urls = []
    for server in servers:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            urls.append(server.url + _REQUESTS[name].format(run_id=create_run(client)))
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
    with stock_and_app() as servers:
        print("| request | stock | app | of it | half of the pairs | by CPU |")
        print("|---|--:|--:|--:|--:|--:|")
        for name in _REQUESTS:
            print(_compare(servers, name), flush=True)


if __name__ == "__main__":
    main()
