import os
import signal
from pathlib import Path

import httpx
import pytest

from stack.mlflow import MlflowServer, mlflow_server
from stack.process import LOOPBACK, answers, free_port, python_tool, wait_for
from stack.prometheus import prometheus
from tests.server.apps import PASSWORD, install
from tests.server.conftest import APP
from tests.server.scrape import answered_by, one_connection, scrape, workers
from tests.server.test_server_start import failure

pytestmark = pytest.mark.whole_system(seconds=70)

REQUESTS = "mlflow_http_requests_total"
EXPERIMENT = "/api/2.0/mlflow/experiments/get?experiment_id=0"


def _shown_pids(server: MlflowServer) -> set[int]:
    return {int(pid) for pid in scrape(server.url).labels("mlflow_db_pool_limit", "pid")}


def _let_every_worker_answer(server: MlflowServer) -> None:
    """Ask over new connections until every worker has opened its database."""
    missing = {worker.pid for worker in workers(server.pid)}
    while missing:
        with one_connection(server.url) as client:
            missing.discard(answered_by(client.get(EXPERIMENT), server.pid))
    wait_for(lambda: len(_shown_pids(server)) == 2, "the pools of both workers are shown")


def test_a_dead_worker_leaves_its_counts_and_nothing_else(folder: Path) -> None:
    """A killed worker is replaced, its counts stay, its gauges and files go; a restart is clean.

    All in the folder of --expose-prometheus, which flowgauge takes over with one warning.
    """
    shared = folder / "metrics"
    options = (*APP, "--expose-prometheus", str(shared))
    with mlflow_server(folder, options=options, workers=2) as server:
        assert server.log.read_text().count("--expose-prometheus is on, and flowgauge takes") == 1
        _let_every_worker_answer(server)
        assert scrape(server.url).series("mlflow_http_request_total") == []
        before = scrape(server.url).counters()
        [victim, survivor] = workers(server.pid)
        victim.kill()
        wait_for(lambda: _shown_pids(server) == {survivor.pid}, "the dead worker's gauges are gone")
        assert scrape(server.url).counters() == before
        wait_for(lambda: len(workers(server.pid)) == 2, "the worker is replaced")
        _let_every_worker_answer(server)
        requests = scrape(server.url).value(REQUESTS)
        assert requests > sum(count for (name, _), count in before.items() if name == REQUESTS)
        files = {file.stem for file in shared.rglob("*.db")}
        owners = {name.rpartition("_")[2] for name in files if "_dead_" not in name}
        assert owners == {str(worker.pid) for worker in workers(server.pid)}
    with mlflow_server(folder, options=options, workers=1) as server:
        assert scrape(server.url).value(REQUESTS) < requests


def test_a_second_server_on_the_folder_is_refused_and_the_first_one_not_robbed(
    folder: Path,
) -> None:
    """Not even by the workers that a killed command leaves behind; a start after them is clean."""
    env = {"PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics")}
    second = [python_tool("mlflow"), "server", "--port", str(free_port()), *APP]
    second += ["--artifacts-only", "--artifacts-destination", str(folder)]
    with mlflow_server(folder, options=APP, workers=2, env=env) as server:
        _let_every_worker_answer(server)
        before = scrape(server.url)
        for _ in range(2):
            code, said = failure(second, folder, **env)
            assert (code, said.count("Error: ")) == (2, 1)
            assert "another MLflow server, or a worker that one left behind, is using it" in said
            assert scrape(server.url).counters() == before.counters()
            os.kill(server.pid, signal.SIGKILL)
    with mlflow_server(folder, options=APP, workers=1, env=env) as server:
        assert scrape(server.url).value(REQUESTS) < before.value(REQUESTS)


def test_a_port_of_its_own_is_served_by_whichever_worker_lives(folder: Path) -> None:
    """Prometheus scrapes that port while workers die; MLflow's own port has no page, nor a hole.

    The login of the app that is measured is not flowgauge's to know, and needs not be.
    """
    address = f"{LOOPBACK}:{free_port()}"
    env = {
        "FLOWGAUGE_METRICS_ADDRESS": address,
        "FLOWGAUGE_MLFLOW_APP": "asgi-object",
        "PYTHONPATH": str(install(folder / "site")),
    }
    own = f"http://{address}"
    with (
        mlflow_server(folder, options=APP, workers=2, env=env) as server,
        prometheus(folder / "prometheus", {"mlflow": address}) as scraper,
    ):
        assert httpx.get(f"{server.url}/metrics").status_code == 401
        assert httpx.get(f"{server.url}/metrics", headers={"password": PASSWORD}).status_code == 404
        assert httpx.get(f"{own}/").status_code == 404
        wait_for(lambda: scraper.value("up") == 1, "Prometheus scrapes the port")
        for victim in workers(server.pid):
            before = scrape(own).value(REQUESTS)
            victim.kill()
            victim.wait()
            assert scrape(own).value(REQUESTS) >= before
            wait_for(lambda: len(workers(server.pid)) == 2, "the worker is replaced")
            wait_for(lambda: answers(f"{server.url}/health"), "MLflow answers")
        wait_for(lambda: scraper.value("up") == 1, "Prometheus goes on")
        assert scraper.value(f'{REQUESTS}{{route="other", status="401"}}') == 1
