"""A fleet: two MLflow servers, two exporters, many tasks, one Redis, and sums that are true."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowgauge.environment import Environment
from flowgauge.render import render, replace_folder
from stack.exporter import exporter
from stack.mlflow import mlflow_server
from stack.postgres import Postgres
from stack.process import LOOPBACK, answers, free_port, running, wait_for
from stack.prometheus import Prometheus
from stack.redis import LASTING, redis_server

pytestmark = [pytest.mark.long, pytest.mark.whole_system(seconds=25)]

_DAGS = 2
_TASKS_PER_DAG = 2
_PAYLOADS_PER_TASK = 4
_ROWS = 10
_PAYLOADS = _DAGS * _TASKS_PER_DAG * _PAYLOADS_PER_TASK

# Every exporter shows what the one store holds.
_ONCE = "sum(max without (instance, pod) ({}))"

_TASK = f"""
from flowgauge.airflow import log_with_mlflow
for _ in range({_PAYLOADS_PER_TASK}):
    assert log_with_mlflow({{"rows": {_ROWS}}}, experiment="fleet")
"""


@dataclass
class _Fleet:
    monitor: Prometheus
    long_term: Prometheus
    first_exporter: ExitStack

    def shows(self, expression: str, value: float) -> None:
        """Wait until Prometheus says so."""
        wait_for(lambda: self.monitor.value(expression) == value, f"{expression} is {value}")


@pytest.fixture(scope="module")
def fleet(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Fleet]:
    """The fleet, after all tasks have ended."""
    folder = tmp_path_factory.mktemp("fleet")
    with ExitStack() as parts, ExitStack() as first_exporter:
        store = parts.enter_context(redis_server(folder / "redis", *LASTING))
        servers = [
            parts.enter_context(
                mlflow_server(
                    folder / f"mlflow-{name}",
                    options=["--app-name", "flowgauge"],
                    backend_store_uri=database.uri,
                )
            ).url
            for name in "ab"
        ]
        exporters = [
            stack.enter_context(exporter(folder / name, mlflow_uri=servers[0], store=store))
            for stack, name in ((first_exporter, "exporter-a"), (parts, "exporter-b"))
        ]
        long_term = parts.enter_context(_prometheus(folder / "long-term", "global: {}\n"))
        environment = Environment.model_validate(
            {
                "domains": {"mlflow": servers[0]},
                "prometheus": {
                    "mlflow": {"targets": [url.removeprefix("http://") for url in servers]},
                    "exporter": {"targets": [url.removeprefix("http://") for url in exporters]},
                    "remote_write": [{"url": f"{long_term.url}/api/v1/write"}],
                },
            }
        )
        replace_folder(folder / "rendered", render("fleet", environment))
        config = folder / "rendered" / "prometheus" / "prometheus.yml"
        # Nobody waits for a quarter of a minute here.
        config.write_text(config.read_text().replace("_interval: 15s", "_interval: 1s"))
        monitor = parts.enter_context(_prometheus(folder / "monitor", config))
        _run_tasks(servers, store, folder)
        yield _Fleet(monitor, long_term, first_exporter)


def _run_tasks(servers: list[str], store: str, folder: Path) -> None:
    tasks = [
        subprocess.Popen(
            [sys.executable, "-c", _TASK],
            cwd=folder,
            env={
                "MLFLOW_TRACKING_URI": servers[task % 2],
                "FLOWGAUGE_STORE": store,
                "AIRFLOW_CTX_DAG_ID": f"dag_{dag}",
                "AIRFLOW_CTX_TASK_ID": f"task_{task}",
                "AIRFLOW_CTX_DAG_RUN_ID": "run",
                "HOME": str(folder),
            },
        )
        for dag in range(_DAGS)
        for task in range(_TASKS_PER_DAG)
    ]
    assert [task.wait(timeout=120) for task in tasks] == [0] * len(tasks)


@contextmanager
def _prometheus(folder: Path, config: Path | str) -> Iterator[Prometheus]:
    """Run Prometheus with *config*, a file or its content; it takes remote writes."""
    folder.mkdir()
    if isinstance(config, str):
        (folder / "prometheus.yml").write_text(config)
        config = folder / "prometheus.yml"
    address = f"{LOOPBACK}:{free_port()}"
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
               f"--web.listen-address={address}", "--web.enable-remote-write-receiver"]  # fmt: skip
    url = f"http://{address}"
    with running(command, log=folder / "log", ready=lambda: answers(f"{url}/-/ready")):
        yield Prometheus(url)


def test_every_server_and_exporter_is_scraped_by_itself(fleet: _Fleet) -> None:
    """The rendered configuration finds both replicas of both, under the jobs' names."""
    fleet.shows('sum(up{job="mlflow"})', 2)
    fleet.shows('sum(up{job="flowgauge"})', 2)


def test_what_the_servers_count_adds_up(fleet: _Fleet) -> None:
    """Each request is counted by the server that answered it: the sum is the truth."""
    fleet.shows("sum(mlflow_runs_logged_total)", _PAYLOADS)
    fleet.shows("count(mlflow_runs_logged_total > 0)", 2)
    created = 'mlflow_http_requests_total{route=~".*/runs/create",status="200"}'
    fleet.shows(f"sum({created})", _PAYLOADS)


def test_what_the_exporters_show_is_counted_once(fleet: _Fleet) -> None:
    """Two exporters show one store; `max without (instance, pod)` makes the sum true."""
    fleet.shows(_ONCE.format("mlflow_dag_logs_total"), _PAYLOADS)
    fleet.shows(_ONCE.format("mlflow_dag_rows_total"), _PAYLOADS * _ROWS)
    fleet.shows(_ONCE.format("mlflow_dag_log_duration_seconds_count"), _PAYLOADS)
    fleet.shows(_ONCE.format('mlflow_rate_limit_calls_total{key="mlflow_api"}'), _PAYLOADS)
    fleet.shows(_ONCE.format('mlflow_dag_runs{status="FINISHED"}'), _PAYLOADS)
    fleet.shows("count(mlflow_dag_logs_total)", 2 * _DAGS * _TASKS_PER_DAG)


def test_the_rules_do_not_count_twice(fleet: _Fleet) -> None:
    """One series a DAG or key is recorded of two exporters, and no alert tells of them."""
    fleet.shows("count(job:mlflow_api:up_avg5m)", 1)
    fleet.shows("job:mlflow_api:up_avg5m", 1)
    fleet.shows("count(key:mlflow_rate_limit_hits:increase5m)", 1)
    fleet.shows("count(dag:mlflow_dag_logs:increase1h)", _DAGS)
    fleet.shows('count(ALERTS{alertstate="firing", severity!="none"}) or vector(0)', 0)


def test_the_long_term_store_has_the_same(fleet: _Fleet) -> None:
    """Remote write delivers the same sums, with the environment's name on every series."""
    expression = _ONCE.format('mlflow_dag_logs_total{environment="fleet"}')
    wait_for(lambda: fleet.long_term.value(expression) == _PAYLOADS, "remote write has arrived")


def test_one_exporter_may_go(fleet: _Fleet) -> None:
    """When one of two exporters is gone the sums stay as they were."""
    fleet.first_exporter.close()
    fleet.shows('sum(up{job="flowgauge"})', 1)
    fleet.shows("count(mlflow_dag_logs_total)", _DAGS * _TASKS_PER_DAG)
    fleet.shows(_ONCE.format("mlflow_dag_logs_total"), _PAYLOADS)
