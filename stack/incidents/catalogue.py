"""Every incident, in the order in which they are tried."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress

import psycopg2

from flowgauge.airflow import RateLimitExceeded, rate_limit
from flowgauge.tracking.tags import DAG_ID_TAG
from stack.incidents.incident import Incident
from stack.incidents.load import (
    dag_logging,
    environment,
    log_metric,
    new_run,
    read_run,
    repeatedly,
    traffic,
    upload,
)
from stack.incidents.site import DAG, POOL, Site
from stack.process import LOOPBACK, free_port, python_tool, wait_for

__all__ = ["INCIDENTS", "SEED"]

# At this pace Prometheus gives the exporter 1 s for a scrape, not 10 s, and a probe of an MLflow
# that is slow or hangs has 4 s.
_SCRAPED_TOO_FAST = "FlowgaugeCollectorFailing"

_DAY_MILLISECONDS = 24 * 3600 * 1000

_incidents: dict[str, Incident] = {}
INCIDENTS: Mapping[str, Incident] = _incidents
# The alerts every MLflow needs: server down, error rate, latency, pool exhausted.
SEED = ("pool_drained", "writes_failing", "database_slow", "server_killed")

_Fault = Callable[[Site], Iterator[None]]


def _incident(
    alert: str | None, *, within: float = 0, companions: Collection[str] = ()
) -> Callable[[_Fault], _Fault]:
    """Make an incident of a function that causes a fault, yields, and mends it."""

    def register(fault: _Fault) -> _Fault:
        happening = contextmanager(fault)
        _incidents[fault.__name__] = Incident(fault.__name__, happening, alert, within, companions)
        return fault

    return register


def _mostly_reading(site: Site, reads: int = 4) -> AbstractContextManager[None]:
    """Let two clients make requests, one that writes after each *reads* that read."""
    run_id = new_run(site.mlflow_uri)
    return traffic(site.mlflow_uri, [*[read_run(run_id)] * reads, log_metric(run_id)])


@_incident(None)
def quiet(site: Site) -> Iterator[None]:
    """Make a request now and then, of which one in two is answered with 500."""
    run_id = new_run(site.mlflow_uri)
    requests = [upload(run_id), upload(run_id, "model.txt/is/no/folder")]
    with traffic(site.mlflow_uri, requests, clients=1, pause=20):
        yield


@_incident(None)
def healthy_burst(site: Site) -> Iterator[None]:
    """Let two clients read, log and upload without a pause, and a DAG log."""
    run_id = new_run(site.mlflow_uri)
    requests = [read_run(run_id), log_metric(run_id), upload(run_id)]
    with (
        traffic(site.mlflow_uri, requests, pause=0),
        dag_logging(site.mlflow_uri, site.store_url, "hourly", pause=4),
    ):
        yield


@_incident("MLflowPostgresConnectionPoolExhausted", within=60, companions=[_SCRAPED_TOO_FAST])
def pool_drained(site: Site) -> Iterator[None]:
    """Lock a table, which holds up every request and with it its connection."""
    with _crowd(site), _locked(site, "runs IN ACCESS EXCLUSIVE MODE"):
        yield


@_incident(
    "MLflowPostgresConnectionPoolTimeouts",
    within=120,
    companions=["MLflowPostgresConnectionPoolExhausted", _SCRAPED_TOO_FAST],
)
def pool_timeouts(site: Site) -> Iterator[None]:
    """Lock it for longer than a request waits for a connection: 30 s, whatever the rules' pace."""
    with _crowd(site), _locked(site, "runs IN ACCESS EXCLUSIVE MODE"):
        yield


@_incident("MLflowHighErrorRate", within=60)
def writes_failing(site: Site) -> Iterator[None]:
    """Lock a table against writing where the database soon gives up: 503 for every write.

    Of the database's errors MLflow answers only those of its operation with 5xx, such as this one
    or a full disk; others, such as those of a read-only database, with 400. One request in fifteen
    writes: of an hour in which nobody else asked, more would be for the error budget to page.
    """
    _set_lock_timeout(site, "100ms")
    with _mostly_reading(site, reads=14), _locked(site, "metrics IN EXCLUSIVE MODE"):
        yield
    _set_lock_timeout(site, "0")


@_incident(
    "MLflowHighLatency",
    within=90,
    companions=[
        "MLflowPostgresConnectionPoolExhausted",
        _SCRAPED_TOO_FAST,
    ],
)
def database_slow(site: Site) -> Iterator[None]:
    """Slow every round trip to the database."""
    with _mostly_reading(site):
        site.way.delay = 0.3
        yield
        site.way.delay = 0


@_incident("MLflowArtifactUploadsFailing", within=90)
def artifact_store_unwritable(site: Site) -> Iterator[None]:
    """Let nothing be written where artifacts go; one request in thirty is an upload.

    The folder is moved away rather than made read-only, which would not keep root from writing.
    """
    run_id = new_run(site.mlflow_uri)
    requests = [*[read_run(run_id)] * 29, upload(run_id)]
    away = site.artifacts.with_name("away")
    site.artifacts.mkdir(exist_ok=True)
    with traffic(site.mlflow_uri, requests, pause=0.02):
        site.artifacts.rename(away)
        site.artifacts.touch()
        yield
        site.artifacts.unlink()
        away.rename(site.artifacts)


@_incident("MLflowRateLimitSaturated", within=60)
def rate_limit_saturated(site: Site) -> Iterator[None]:
    """Call far more often than the limit allows."""

    @rate_limit(max_calls=1, window_seconds=60, variable_key="saturated", max_wait_seconds=0)
    def call() -> None:
        """Do nothing."""

    def attempt() -> None:
        with suppress(RateLimitExceeded):
            call()

    with environment({"FLOWGAUGE_STORE": site.store_url}), repeatedly(attempt, pause=0.2):
        yield


@_incident("FlowgaugeExporterDown", within=60)
def exporter_killed(site: Site) -> Iterator[None]:
    """Kill the exporter."""
    site.exporter.stop()
    yield
    site.exporter.start()


@_incident("FlowgaugeCollectorFailing", within=60)
def store_gone(site: Site) -> Iterator[None]:
    """Take Redis away, and bring it back empty."""
    site.store.stop()
    yield
    site.store.start()


# A scaled hour after writes_failing: two outages in one hour are for the error budget to page.
@_incident("MLflowApiFailing", within=60, companions=["FlowgaugeCollectorFailing"])
def database_gone(site: Site) -> Iterator[None]:
    """Cut the server off from its database: it answers everything with an error."""
    with _mostly_reading(site):
        site.way.cut()
        yield
        site.way.mend()


@_incident("MLflowRunsStale", within=90)
def run_left_running(site: Site) -> Iterator[None]:
    """Leave a run that a task killed a day ago never ended; mend it as the runbook says."""
    started = int(time.time() * 1000) - _DAY_MILLISECONDS - 60_000
    new_run(site.mlflow_uri, start_time=started, tags=[{"key": DAG_ID_TAG, "value": DAG}])
    yield
    command = [python_tool("flowgauge"), "runs", "close-stale", "--mlflow-uri", site.mlflow_uri]
    subprocess.run(command, check=True, capture_output=True)


@_incident("MLflowOutboxBacklog", within=120)
def outbox_filling(site: Site) -> Iterator[None]:
    """Let a task log without a way to MLflow, so that its payload waits."""
    nowhere = f"http://{LOOPBACK}:{free_port()}"
    with dag_logging(nowhere, site.store_url, "cut_off", pause=60):
        yield
    command = [python_tool("flowgauge"), "outbox", "flush"]
    env = {**os.environ, "MLFLOW_TRACKING_URI": site.mlflow_uri, "FLOWGAUGE_STORE": site.store_url}
    subprocess.run(command, check=True, capture_output=True, env=env)


# As late as may be: an outage is in the error budget of all hours after it.
@_incident("MLflowDown", within=30)
def server_killed(site: Site) -> Iterator[None]:
    """Kill all processes of the server."""
    with _mostly_reading(site):
        os.killpg(site.server.running.pid, signal.SIGKILL)
        yield
        site.server.stop()
        site.server.start()


@_incident("MLflowDagStoppedLogging", within=150)
def dag_stopped(site: Site) -> Iterator[None]:
    """Stop a DAG that has logged for a week (scaled).

    It logs once more and then stops for good: no incident comes after this one.
    """
    with dag_logging(site.mlflow_uri, site.store_url, DAG, pause=4):
        known = f'dag:mlflow_dag_log_silence:ratio_max14d{{dag_id="{DAG}"}} < 1'
        wait_for(lambda: site.prometheus.query(known), "the DAG logs")
    yield
    with dag_logging(site.mlflow_uri, site.store_url, DAG, pause=4):
        pass


def _crowd(site: Site) -> AbstractContextManager[None]:
    """Let twice as many clients read as there are connections."""
    requests = [read_run(new_run(site.mlflow_uri))]
    return traffic(site.mlflow_uri, requests, clients=2 * POOL, pause=0.5)


@contextmanager
def _locked(site: Site, table_and_mode: str) -> Iterator[None]:
    with psycopg2.connect(site.database.dsn) as lock:
        lock.cursor().execute(f"LOCK TABLE {table_and_mode}")
        yield
        lock.rollback()


def _set_lock_timeout(site: Site, value: str) -> None:
    """Set how long sessions of the database wait for a lock, and end the present ones."""
    connection = psycopg2.connect(site.database.dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE mlflow SET lock_timeout = '{value}'")
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = 'mlflow' AND pid <> pg_backend_pid()"
        )
    connection.close()
