import os
import signal
from pathlib import Path

import httpx
import pytest

from stack.mlflow import MlflowServer, mlflow_server
from stack.process import LOOPBACK, free_port, wait_for
from stack.prometheus import prometheus
from tests.server.apps import PASSWORD, install
from tests.server.conftest import APP
from tests.server.refusals import RefusedServer
from tests.server.scrape import answered_by, one_connection, scrape, settled, workers

pytestmark = pytest.mark.whole_system(seconds=50)

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


def test_who_dies_leaves_its_counts_and_nobody_else_gets_the_folder(
    refused: RefusedServer, folder: Path
) -> None:
    """A killed worker is replaced, its counts stay, its gauges and files go; a restart is clean.

    A second server is refused and the first one not robbed, not even of workers that a killed
    command leaves behind. All in the folder of --expose-prometheus, which flowgauge takes over with
    one warning.
    """
    shared = folder / "metrics"
    expose = ("--expose-prometheus", str(shared))
    with mlflow_server(folder, options=(*APP, *expose), workers=2) as server:
        assert server.log.read_text().count("--expose-prometheus is on, and flowgauge takes") == 1
        _let_every_worker_answer(server)
        assert scrape(server.url).series("mlflow_http_request_total") == []
        before = settled(server.url).counters()
        [victim, survivor] = workers(server.pid)
        victim.kill()
        wait_for(lambda: _shown_pids(server) == {survivor.pid}, "its gauges are gone")
        assert scrape(server.url).counters() == before
        wait_for(lambda: len(workers(server.pid)) == 2, "the worker is replaced")
        _let_every_worker_answer(server)
        requests = settled(server.url).value(REQUESTS)
        assert requests > sum(count for (name, _), count in before.items() if name == REQUESTS)
        files = {file.stem for file in shared.rglob("*.db")}
        owners = {name.rpartition("_")[2] for name in files if "_dead_" not in name}
        assert owners == {str(worker.pid) for worker in workers(server.pid)}
        for _ in range(2):
            before = settled(server.url).counters()
            code, said = refused(folder, *expose)
            assert (code, said.count("Error: ")) == (2, 1)
            assert "another MLflow server, or a worker that one left behind, is using it" in said
            assert scrape(server.url).counters() == before
            os.kill(server.pid, signal.SIGKILL)
    with mlflow_server(folder, options=(*APP, *expose), workers=1) as server:
        assert scrape(server.url).value(REQUESTS) < requests


def test_a_port_of_its_own_is_served_by_whichever_worker_lives(folder: Path) -> None:
    """Prometheus scrapes that port while workers die; MLflow's own port has no page, nor a hole.

    The login of the app that is measured is not flowgauge's to know, and needs not be.
    """
    port = free_port()
    address = f"{LOOPBACK}:{port}"
    env = {
        "FLOWGAUGE_METRICS_ADDRESS": address,
        "FLOWGAUGE_MLFLOW_APP": "asgi-object",
        "PYTHONPATH": str(install(folder / "site")),
    }
    own = f"http://{address}"
    with (
        mlflow_server(folder, options=APP, workers=2, env=env) as server,
        prometheus(folder / "prometheus", {"mlflow": address}, interval="3s") as scraper,
    ):
        assert httpx.get(f"{server.url}/metrics").status_code == 401
        assert httpx.get(f"{server.url}/metrics", headers={"password": PASSWORD}).status_code == 404
        assert httpx.get(f"{own}/").status_code == 404
        wait_for(lambda: scraper.value("up") == 1, "Prometheus scrapes the port")
        _let_every_worker_listen(server, port)
        for victim in workers(server.pid):
            before = scrape(own).value(REQUESTS)
            victim.kill()
            victim.wait()
            assert scrape(own).value(REQUESTS) >= before
            _let_every_worker_listen(server, port)
        wait_for(lambda: scraper.value("up") == 1, "Prometheus goes on")
        assert scraper.value(f'{REQUESTS}{{route="other", status="401"}}') == 1


def _let_every_worker_listen(server: MlflowServer, port: int) -> None:
    def listening() -> int:
        return sum(
            any(connection.laddr.port == port for connection in worker.net_connections())
            for worker in workers(server.pid)
        )

    wait_for(lambda: listening() == 2, "both workers listen")
