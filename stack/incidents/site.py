"""The system that incidents befall."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import httpx
import yaml

from stack.exporter import exporter
from stack.incidents.apps import install
from stack.mlflow import MlflowServer, mlflow_server
from stack.postgres import Postgres, postgres
from stack.process import LOOPBACK, free_port, wait_for
from stack.prometheus import Prometheus, alertmanager, prometheus
from stack.proxy import Proxy, proxy
from stack.redis import LASTING, redis_server
from stack.rules import scaled_alertmanager, scaled_rules
from stack.webhook import Webhook, webhook

__all__ = ["DAG", "DAGS", "FASTER", "POOL", "Part", "Site", "address", "mlflow", "site"]

# The rules' shortest window, 5 minutes, is 10 s then: ten scrapes.
FASTER = 30
_INTERVAL = "1s"
# Two for users who wait for a slow database, and enough for what the exporter asks at once.
POOL = 5
DAG = "nightly"
"""A DAG that has logged for a week, and not of late."""
DAGS = ("orders", "prices", "stocks", "trades", "users")
"""DAGs that log at all times of the week."""

# Far more than incidents make: they must not look like the worst of three days.
_REQUESTS_A_SECOND = 1000
_PAUSE_SECONDS = 10
_DAY_SECONDS = 24 * 3600
# Prometheus takes what is not older for the present: here, for a DAG that is silent now.
_LOOKBACK_SECONDS = 300

_Running = TypeVar("_Running")


class Part(Generic[_Running]):
    """A part that can be stopped and started again."""

    def __init__(self, make: Callable[[], AbstractContextManager[_Running]]) -> None:
        self._make = make
        self._stack = ExitStack()
        self.start()

    def start(self) -> None:
        """Start it; `running` is what it yields then."""
        self.running = self._stack.enter_context(self._make())

    def stop(self) -> None:
        """Stop it, if it runs."""
        self._stack.close()


@dataclass(frozen=True)
class Site:
    """The running system.

    `front` is everybody's way to the server, behind `mlflow_uri`; `way` is the server's way to its
    database.
    """

    folder: Path
    mlflow_uri: str
    store_url: str
    front: Proxy
    server: Part[MlflowServer]
    exporter: Part[str]
    store: Part[str]
    database: Postgres
    way: Proxy
    prometheus: Prometheus
    notifier: str
    notifications: Webhook

    @property
    def artifacts(self) -> Path:
        """The folder the server keeps artifacts in."""
        return self.folder / "mlflow" / "artifacts"

    def scrape(self, job: str, targets: Mapping[str, Mapping[str, str]], token: str = "") -> None:
        """Let Prometheus scrape *targets*, labels by HOST:PORT, as *job*, and no others.

        It sends them *token*, if there is one. Return once it does, some seconds later.
        """
        file = self.folder / "prometheus" / "prometheus.yml"
        content = yaml.safe_load(file.read_text())
        (scraped,) = (one for one in content["scrape_configs"] if one["job_name"] == job)
        scraped["static_configs"] = [
            {"targets": [target], "labels": dict(labels)} for target, labels in targets.items()
        ]
        scraped["authorization"] = {"credentials": token} if token else {}
        file.write_text(yaml.safe_dump(content))
        httpx.post(f"{self.prometheus.url}/-/reload", timeout=120).raise_for_status()
        wait_for(
            lambda: self._scraped(job) == targets.keys(), f"{job} is scraped elsewhere", timeout=120
        )

    def _scraped(self, job: str) -> set[str]:
        url = f"{self.prometheus.url}/api/v1/targets"
        answer = httpx.get(url, params={"state": "active"}, timeout=60)
        return {
            target["labels"]["instance"]
            for target in answer.raise_for_status().json()["data"]["activeTargets"]
            if target["scrapePool"] == job
        }


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Run the system on loopback until the block ends, with all durations `FASTER` times shorter.

    Each worker's pool has `POOL` connections. Prometheus remembers eight healthy days (scaled),
    which is what the error budget and a habit are judged by, and in which `DAG` and `DAGS` have
    logged.
    """
    with ExitStack() as parts:

        def part(make: Callable[[], AbstractContextManager[_Running]]) -> Part[_Running]:
            new = Part(make)
            parts.callback(new.stop)
            return new

        port, exporter_port, redis_port = free_port(), free_port(), free_port()
        front = parts.enter_context(proxy(port))
        uri = f"http://{address(front.port)}"
        store_url = f"redis://{LOOPBACK}:{redis_port}/0"
        database = parts.enter_context(postgres(folder / "postgres"))
        way = parts.enter_context(proxy(database.port))
        notifications = parts.enter_context(webhook())
        store = part(partial(redis_server, folder / "redis", *LASTING, port=redis_port))
        server = part(partial(mlflow, folder / "mlflow", port, way))
        exporter_ = part(
            partial(
                exporter, folder / "exporter", mlflow_uri=uri, store=store_url, port=exporter_port
            )
        )
        notifier = parts.enter_context(
            alertmanager(
                folder / "alertmanager",
                scaled_alertmanager(folder / "alertmanager.yml", FASTER, notifications.url),
            )
        )
        _remember(folder / "prometheus" / "tsdb")
        monitor = parts.enter_context(
            prometheus(
                folder / "prometheus",
                {"mlflow": address(front.port), "flowgauge": address(exporter_port)},
                rules=scaled_rules(folder / "rules", FASTER),
                alertmanager_address=notifier,
                interval=_INTERVAL,
            )
        )
        yield Site(
            folder=folder,
            mlflow_uri=uri,
            store_url=store_url,
            front=front,
            server=server,
            exporter=exporter_,
            store=store,
            database=database,
            way=way,
            prometheus=monitor,
            notifier=notifier,
            notifications=notifications,
        )


def address(port: int) -> str:
    """Return what Prometheus scrapes of a part at *port*."""
    return f"{LOOPBACK}:{port}"


def mlflow(
    folder: Path, port: int, way: Proxy, *, app: str | None = None, workers: int = 1
) -> AbstractContextManager[MlflowServer]:
    """Run a server of the site at *port*, whose way to the database is *way*.

    It is MLflow's own app that is measured, or *app*, one of `stack.incidents.apps`.
    """
    return mlflow_server(
        folder,
        port=port,
        workers=workers,
        options=[*(["--app-name", app] if app else []), "--app-name", "flowgauge"],
        env={
            **(install(folder / "apps") if app else {}),
            "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(POOL - 1),
            "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "1",
            # The provider of language models is on loopback.
            "MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES": "http",
            "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS": "true",
        },
        backend_store_uri=Postgres(way.port).uri,
    )


def _remember(tsdb: Path) -> None:
    """Write what recording rules would have recorded in eight days without a fault.

    Of what is compared with the week before last, they are fifteen.
    """
    tsdb.mkdir(parents=True)
    end = int(time.time()) - 30
    dag = f'{{job="flowgauge",dag_id="{DAG}"}}'
    lines = [
        f'dag:mlflow_dag_logging:last30m{{job="flowgauge",dag_id="{one}"}} {at} {at}'
        for one in DAGS
        for at in range(end - 15 * _DAY_SECONDS // FASTER, end, _PAUSE_SECONDS)
    ]
    for at in range(end - 8 * _DAY_SECONDS // FASTER, end, _PAUSE_SECONDS):
        lines += [
            f'job:mlflow_slo_requests:rate5m{{job="mlflow"}} {_REQUESTS_A_SECOND} {at}',
            f'job:mlflow_slo_failures:rate5m{{job="mlflow"}} 0 {at}',
        ]
        if at < end - _LOOKBACK_SECONDS:
            lines += [
                f"dag:mlflow_dag_last_seen_timestamp_seconds:max14d{dag} {at} {at}",
                f"dag:mlflow_dag_log_pause_seconds:delta5m{dag} {_PAUSE_SECONDS} {at}",
            ]
    file = tsdb.with_name("history")
    file.write_text("\n".join([*sorted(lines), "# EOF\n"]))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(file), str(tsdb)]
    subprocess.run(command, check=True, capture_output=True)
