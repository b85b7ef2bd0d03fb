"""The workers' metrics on a disk that is full, and in a folder that somebody takes away."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from flowgauge.dag_headers import dag_headers
from stack.mlflow import MlflowServer, mlflow_server
from stack.process import wait_for
from tests.server.conftest import APP
from tests.server.scrape import parse, workers

REQUESTS = "mlflow_http_requests_total"
FAILED = "flowgauge_server_measuring_failed_total"
# Each with series of its own: a duration's buckets take some kilobytes.
ROUTES = [
    f"/api/2.0/mlflow/{name}"
    for name in (
        *("experiments/get", "experiments/get-by-name", "experiments/search", "runs/get"),
        *("runs/search", "metrics/get-history", "artifacts/list", "registered-models/get"),
        *("registered-models/search", "registered-models/alias", "model-versions/get"),
        *("model-versions/search", "model-versions/get-download-uri", "logged-models/search"),
    )
]
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def _fill(disk: Path) -> Path:
    ballast = disk / "flowgauge-1"  # a name that is not refused
    ballast.mkdir(exist_ok=True)
    with (ballast / "ballast").open("wb", buffering=0) as file:
        size = shutil.disk_usage(disk).free
        while size and file.write(bytes(min(size, 4096))):
            size = shutil.disk_usage(disk).free
    assert shutil.disk_usage(disk).free == 0
    return ballast / "ballast"


def _ask_all(server: MlflowServer, routes: Sequence[str]) -> int:
    """Ask for each of *routes* by each method; return how many requests that was."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        answers = [client.request(method, path) for path in routes for method in METHODS]
    assert {answer.status_code for answer in answers} <= {200, 400, 404, 405}
    return len(answers)


def _value(server: MlflowServer, name: str) -> float:
    return parse(httpx.get(f"{server.url}/metrics", timeout=60).text).value(name)


@pytest.mark.mounts
@pytest.mark.timeout(600)
@pytest.mark.whole_system(seconds=25)
def test_a_full_disk_costs_no_worker_and_no_count(folder: Path, small_disk: Path) -> None:
    """Full from the start, full later, the folder gone: MLflow answers, nothing stays missing.

    Without room ahead, a write into a file's memory would have the kernel end the worker (SIGBUS).
    """
    ballast = _fill(small_disk)
    env = {"PROMETHEUS_MULTIPROC_DIR": str(small_disk)}
    with mlflow_server(folder / "server", options=APP, env=env) as server:
        [worker] = workers(server.pid)
        asked = _ask_all(server, ROUTES[:3])
        assert _value(server, REQUESTS) == 0
        ballast.unlink()
        wait_for(lambda: _value(server, REQUESTS) >= asked, "all are shown once there is room")

        ballast = _fill(small_disk)
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for number in range(300):
                assert client.post(f"/api/2.0/mlflow/runs/{number}").status_code == 404
                headers = dag_headers(f"dag{number}", "t")
                assert client.get("/version", headers=headers).status_code == 200
        more = _ask_all(server, ROUTES[3:])
        assert _value(server, FAILED) > 0
        ballast.unlink()
        wait_for(lambda: _value(server, REQUESTS) >= asked + more + 600, "all are shown again")

        before = _value(server, REQUESTS)
        shutil.rmtree(small_disk / f"flowgauge-{os.geteuid()}")
        wait_for(lambda: _value(server, REQUESTS) >= before, "the folder is made again")
        assert workers(server.pid) == [worker]
