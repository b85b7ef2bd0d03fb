import os
import signal
from pathlib import Path

import pytest

from stack.mlflow import MlflowServer, mlflow_server
from stack.process import free_port, python_tool, wait_for
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
    """A killed worker is replaced, its counts stay, its gauges and files go; a restart is clean."""
    shared = folder / "metrics"
    env = {"PROMETHEUS_MULTIPROC_DIR": str(shared)}
    with mlflow_server(folder, options=APP, workers=2, env=env) as server:
        _let_every_worker_answer(server)
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
    with mlflow_server(folder, options=APP, workers=1, env=env) as server:
        assert scrape(server.url).value(REQUESTS) < requests


@pytest.mark.timeout(300)  # four commands start, one after the other
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
