"""Every incident, in the order in which they are tried."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress

import httpx
import psycopg2

from flowgauge.airflow import RateLimitExceeded, rate_limit
from flowgauge.tracking.tags import DAG_ID_TAG
from stack.incidents.apps import BLOCKING, LEAKING
from stack.incidents.deployments import (
    another_environment,
    another_exporter,
    replaced,
    replicas,
    serve_by,
    servers,
)
from stack.incidents.incident import Incident, told
from stack.incidents.load import (
    NO_RATE_LIMIT,
    ask,
    dag_logging,
    environment,
    log_epochs,
    log_metric,
    log_payload,
    new_run,
    read_history,
    read_run,
    repeatedly,
    traffic,
    upload,
)
from stack.incidents.site import DAG, DAGS, FASTER, POOL, Site
from stack.language_model import gateway_endpoint, language_model
from stack.memory_limit import may_limit_memory, memory_limit
from stack.mlflow import workers
from stack.process import LOOPBACK, free_port, python_tool, wait_for

__all__ = ["INCIDENTS", "SEED"]

# At this pace Prometheus gives the exporter 1 s for a scrape, not 10 s, and a probe of an MLflow
# that is slow or hangs has 4 s.
_SCRAPED_TOO_FAST = "FlowgaugeCollectorFailing"
# The 30 s that a request waits for a connection are a quarter of an hour at this pace, in which
# MLflow answers no call: that is told before. Unless no scrape sees one fail, as they hang for
# longer than it.
_WAITED_TOO_LONG = "MLflowApiFailing"

_MINUTE = 60 / FASTER
_LEAKING_LIMIT = 400 * 2**20
_DAY_MILLISECONDS = 24 * 3600 * 1000

_incidents: dict[str, Incident] = {}
INCIDENTS: Mapping[str, Incident] = _incidents
# The alerts every MLflow needs: server down, error rate, latency, pool exhausted.
SEED = ("pool_drained", "writes_failing", "database_slow", "server_killed")

_Fault = Callable[[Site], Iterator[None]]


def _incident(
    alert: str | None,
    *,
    within: float = 0,
    companions: Collection[str] = (),
    before: Collection[str] = (),
    aftermath: float | None = 0,
    possible: Callable[[], bool] = lambda: True,
) -> Callable[[_Fault], _Fault]:
    """Make an incident of a function that causes a fault, yields, and mends it."""

    def register(fault: _Fault) -> _Fault:
        happening = contextmanager(fault)
        _incidents[fault.__name__] = Incident(
            fault.__name__, happening, alert, within, companions, before, aftermath, possible
        )
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


@_incident(
    "MLflowPostgresConnectionPoolExhausted",
    within=60,
    companions=[_SCRAPED_TOO_FAST],
    before=[_WAITED_TOO_LONG],
)
def pool_drained(site: Site) -> Iterator[None]:
    """Lock a table, which holds up every request and with it its connection."""
    with _crowd(site), _locked(site, "runs IN ACCESS EXCLUSIVE MODE"):
        yield


@_incident(
    "MLflowPostgresConnectionPoolTimeouts",
    within=120,
    companions=["MLflowPostgresConnectionPoolExhausted", _SCRAPED_TOO_FAST],
    before=[_WAITED_TOO_LONG],
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
    _set(site, "lock_timeout", "100ms")
    with _mostly_reading(site, reads=14), _locked(site, "metrics IN EXCLUSIVE MODE"):
        yield
    _set(site, "lock_timeout", "0")


@_incident("MLflowRequestsRefused", within=90)
def database_read_only(site: Site) -> Iterator[None]:
    """Let the database take no writes, as after a fail-over to a replica: 400 for every write."""
    with _mostly_reading(site, reads=1):
        _set(site, "default_transaction_read_only", "on")
        yield
        _set(site, "default_transaction_read_only", "off")


@_incident(
    "MLflowHighLatency",
    within=90,
    companions=[
        "MLflowPostgresConnectionPoolExhausted",
        _SCRAPED_TOO_FAST,
    ],
)
def database_slow(site: Site) -> Iterator[None]:
    """Slow every round trip to the database: users make sixty for a request, a probe makes five."""
    with traffic(site.mlflow_uri, [log_epochs(new_run(site.mlflow_uri))]):
        site.way.delay = 0.047
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


@_incident(None)
def exporter_replaced(site: Site) -> Iterator[None]:
    """Replace the exporter while one in six payloads of a DAG fails: one in five may."""
    nowhere = f"http://{LOOPBACK}:{free_port()}"

    def log(uri: str, times: int) -> None:
        for _ in range(times):
            log_payload(uri, site.store_url, "moved")
            time.sleep(_MINUTE / 4)

    log(site.mlflow_uri, 15)
    with another_exporter(site):
        log(site.mlflow_uri, 15)
        log(nowhere, 6)
        _flush_outbox(site)
        yield


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
    _flush_outbox(site)


@_incident(None)
def rolling_deploy(site: Site) -> Iterator[None]:
    """Replace three servers one after the other; each new one takes a minute (scaled) to answer.

    A process needs longer to start: it is there before, and is held.
    """
    with servers(site, 3) as coming, replicas(site, 3) as leaving, _mostly_reading(site):
        serving = [*leaving]
        for old, new in zip(leaving, coming, strict=True):
            os.killpg(new.pid, signal.SIGSTOP)
            site.scrape("mlflow", {one.url.removeprefix("http://"): {} for one in [*serving, new]})
            time.sleep(_MINUTE)
            os.killpg(new.pid, signal.SIGCONT)
            serving = [*serving[1:], new]
            serve_by(site, serving)
            os.killpg(old.pid, signal.SIGTERM)
        yield


@_incident("MLflowGatewayFailing", within=90)
def provider_down(site: Site) -> Iterator[None]:
    """Let the provider of a language model answer with 503; one request in five asks it."""
    run_id = new_run(site.mlflow_uri)
    with language_model() as provider:
        path = gateway_endpoint(site.mlflow_uri, "chat", provider.url)
        with traffic(site.mlflow_uri, [*[read_run(run_id)] * 4, ask(path)]):
            provider.is_down = True
            yield
            provider.is_down = False


@_incident("MLflowMemoryNearLimit", within=180, possible=may_limit_memory)
def worker_leaking(site: Site) -> Iterator[None]:
    """Have a server with a limit of memory keep something of every other request."""
    with memory_limit(_LEAKING_LIMIT) as limit, replaced(site, LEAKING) as server:
        for worker in workers(server.pid):
            limit(worker.pid)
        run_id = new_run(server.url)
        requests = [read_run(run_id), log_metric(run_id)]
        with traffic(server.url, requests, clients=1, pause=0.25):
            yield


@_incident("MLflowWorkersRestarting", within=120, companions=[_SCRAPED_TOO_FAST])
def worker_killed_again_and_again(site: Site) -> Iterator[None]:
    """Kill one of a server's two workers whenever it is there again, as the kernel does."""
    with replaced(site, workers=2) as server:
        spared = min(worker.pid for worker in workers(server.pid))
        seen = 0.0

        def kill() -> None:
            nonlocal seen
            if (started := _workers_started(server.url)) > seen:
                seen = started
                for worker in workers(server.pid):
                    if worker.pid != spared:
                        worker.kill()

        with repeatedly(kill, pause=0.1):
            yield


# The server remembers the worst of a minute, so this rule alone is no faster here than elsewhere.
@_incident("MLflowEventLoopBlocked", within=600, companions=[_SCRAPED_TOO_FAST])
def event_loop_blocked(site: Site) -> Iterator[None]:
    """Have a call block the only worker's event loop for 1.5 s, four times a minute."""
    with replaced(site, BLOCKING) as server:
        run_id = new_run(server.url)
        with (
            traffic(server.url, [read_run(run_id), log_metric(run_id)]),
            traffic(server.url, [read_history(run_id)], clients=1, pause=15),
        ):
            yield


@_incident(
    "MLflowApiFailing",
    within=60,
    companions=["FlowgaugeCollectorFailing"],
    before=["MLflowServerDown"],
)
def database_gone_one_down(site: Site) -> Iterator[None]:
    """Lose the database while one of three servers is dead already."""
    with replicas(site, 3) as running, _mostly_reading(site):
        os.killpg(running[0].pid, signal.SIGKILL)
        told(site, "MLflowServerDown")
        _wait_for_a_whole_budget(site)
        site.way.cut()
        yield
        site.way.mend()


@_incident(
    "MLflowApiFailing",
    within=60,
    companions=["FlowgaugeCollectorFailing"],
    before=["MLflowDown in dev"],
)
def database_gone_dev_down(site: Site) -> Iterator[None]:
    """Lose the database while another environment in the same Prometheus is down."""
    with another_environment(site, "dev") as dev, _mostly_reading(site):
        os.killpg(dev.pid, signal.SIGKILL)
        told(site, "MLflowDown in dev")
        _wait_for_a_whole_budget(site)
        site.way.cut()
        yield
        site.way.mend()


@_incident("MLflowDown", within=30)
def flapping(site: Site) -> Iterator[None]:
    """Let the server answer for half a minute in two, as one that dies whenever it has started."""

    def come_and_go() -> None:
        site.front.cut()
        time.sleep(1.5 * _MINUTE)
        site.front.mend()

    with _mostly_reading(site), repeatedly(come_and_go, pause=0.5 * _MINUTE):
        yield


# As late as may be: an outage is in the error budget of all hours after it.
@_incident("MLflowDown", within=30)
def server_killed(site: Site) -> Iterator[None]:
    """Kill all processes of the server."""
    with _mostly_reading(site):
        os.killpg(site.server.running.pid, signal.SIGKILL)
        yield
        site.server.stop()
        site.server.start()


@_incident("MLflowDown", within=30, aftermath=120 * _MINUTE)
def long_outage(site: Site) -> Iterator[None]:
    """Kill the server for more than twenty minutes (scaled), and then watch for two hours."""
    with _mostly_reading(site):
        os.killpg(site.server.running.pid, signal.SIGKILL)
        yield
        time.sleep(20 * _MINUTE)
        site.server.stop()
        site.server.start()


@_incident("MLflowDagsStoppedTogether", within=240, aftermath=None)
def scheduler_down(site: Site) -> Iterator[None]:
    """Stop all DAGs that log at this time of the week.

    They log once more and then stop for good: only one that has them go on comes after this one.
    """
    with _all_dags(site):
        pass
    yield
    _log_once(site, DAGS)


@_incident("MLflowDagStoppedLogging", within=150, aftermath=None)
def dag_stopped(site: Site) -> Iterator[None]:
    """Stop one DAG that has logged for a week (scaled), while the others go on.

    All log once more and then stop for good: no incident comes after this one.
    """
    with _all_dags(site):
        with dag_logging(site.mlflow_uri, site.store_url, DAG, pause=4):
            known = f'dag:mlflow_dag_log_silence:ratio_max14d{{dag_id="{DAG}"}} < 1'
            wait_for(lambda: site.prometheus.query(known), "the DAG logs")
        yield
        _log_once(site, [DAG])


def _workers_started(url: str) -> float:
    """Return how many workers a server says to have started, 0 while it says nothing."""
    with suppress(httpx.HTTPError):
        for line in httpx.get(f"{url}/metrics", timeout=10).text.splitlines():
            if line.startswith("mlflow_worker_starts_total "):
                return float(line.split()[1])
    return 0


@contextmanager
def _all_dags(site: Site) -> Iterator[None]:
    """Let all of `DAGS` log, which the rules know on entry, until the block ends."""
    known = "dag:mlflow_dag_logging:last30m and dag:mlflow_dag_due:last30m"
    with repeatedly(lambda: _log_once(site, DAGS), pause=_MINUTE):
        wait_for(lambda: len(site.prometheus.query(known)) == len(DAGS), "all DAGs log")
        yield


def _log_once(site: Site, dags: Iterable[str]) -> None:
    for dag in dags:
        log_payload(site.mlflow_uri, site.store_url, dag)


def _flush_outbox(site: Site) -> None:
    command = [python_tool("flowgauge"), "outbox", "flush"]
    settings = {"MLFLOW_TRACKING_URI": site.mlflow_uri, "FLOWGAUGE_STORE": site.store_url}
    env = {**os.environ, **settings, **NO_RATE_LIMIT}
    subprocess.run(command, check=True, capture_output=True, env=env)


def _wait_for_a_whole_budget(site: Site) -> None:
    """Wait until nothing of the last hour counts: two outages in one are for the budget to page."""
    spent = "job:mlflow_error_budget_burn:rate1h > 0.5"
    wait_for(lambda: not site.prometheus.query(spent), "the hour is over", timeout=180)


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


def _set(site: Site, setting: str, value: str) -> None:
    """Set what holds for sessions of the database but this one, and end the present ones."""
    writing = "-c default_transaction_read_only=off"
    connection = psycopg2.connect(site.database.dsn, options=writing)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE mlflow SET {setting} = '{value}'")
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = 'mlflow' AND pid <> pg_backend_pid()"
        )
    connection.close()
