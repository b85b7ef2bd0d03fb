"""What the exporter's scrapes cost MLflow, on a site with many runs.

    python -m benchmarks.mlflow_load

MLflow on PostgreSQL, with 100,000 runs of 300 DAGs in 2,000 experiments, 6,000 of them of the last
24 hours, and a new one every 14.4 s, which ends 30 s later; once with 3 metrics and 3 parameters a
run, once with 30 and 20. All are put in by SQL, so that what MLflow's processes use is for the
exporter's collectors alone; what they use while nobody asks is measured before and after, and left
out. Prometheus would scrape every 15 s. Here the collectors are asked as soon as they have
answered, and their clocks are set forward by the rest of the 15 s: three hours take a minute. The
first look begins with the first scrape and ends when all runs are known.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
from prometheus_client import generate_latest

from flowgauge import probe
from flowgauge.exporter.collector import Context
from flowgauge.exporter.collectors.gateway import GatewayCollector
from flowgauge.exporter.collectors.runs import RunsCollector
from flowgauge.exporter.collectors.tracking import TrackingCollector
from flowgauge.exporter.scrape import Scrape
from flowgauge.store import open_store
from flowgauge.tracking.client import TrackingClient
from stack.mlflow import MlflowServer, mlflow_server
from stack.postgres import Postgres, postgres

__all__ = ["cpu_seconds", "fill"]

_RUNS, _DAY, _EXPERIMENTS, _DAGS = 100_000, 6_000, 2_000, 300
_KINDS = ((3, 3), (30, 20))
_FAILED = 'flowgauge_collector_success{collector="runs"} 0.0'
_INTERVAL, _HOUR, _STEADY_HOURS, _IDLE_SECONDS = 15, 3600, 3, 20
_TAGS = (
    "airflow.dag_id", "airflow.task_id", "airflow.run_id", "airflow.try_number", "mlflow.user",
    "mlflow.source.name", "mlflow.source.type", "mlflow.runName", "team", "flowgauge.log_id",
)  # fmt: skip

_NEW_EXPERIMENTS = """
INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time)
SELECT 'team ' || n, 's3://team/' || n, 'active', 1700000000000 + n, 1700000000000 + n
FROM generate_series(1, %(experiments)s) AS n
"""
# Run *n* of *runs* began so many times the pause between two runs before now. Figures and facts of
# older ones nobody reads.
_NEW_RUNS = """
CREATE TEMPORARY TABLE new AS
SELECT n, md5(%(name)s || n) AS id,
       (%(now)s * 1000 - n * 86400000.0 / %(day)s)::bigint AS began
FROM generate_series(0, %(runs)s - 1) AS n;

INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status,
                  start_time, end_time, source_version, lifecycle_stage, artifact_uri,
                  experiment_id)
SELECT id, 'run ' || n, 'LOCAL', '', '', 'airflow', CASE WHEN n %% 20 = 0 THEN 'FAILED'
       ELSE 'FINISHED' END, began, began + 30000, '', 'active', 's3://team/' || id,
       1 + n %% %(experiments)s
FROM new;

INSERT INTO tags (key, value, run_uuid)
SELECT key, CASE key WHEN 'airflow.dag_id' THEN 'dag' || n %% %(dags)s ELSE 'v' || n END, id
FROM new, unnest(%(tags)s) AS key;

INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
SELECT 'metric ' || m, m, began, 0, false, id FROM new, generate_series(1, %(metrics)s) AS m
WHERE n < 2 * %(day)s;

INSERT INTO params (key, value, run_uuid)
SELECT 'parameter ' || p, 'value ' || p, id FROM new, generate_series(1, %(params)s) AS p
WHERE n < 2 * %(day)s;

DROP TABLE new;
"""
_START = "UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE run_uuid = md5(%s || 0)"
_END = "UPDATE runs SET status = 'FINISHED', end_time = %s * 1000 WHERE run_uuid = md5(%s || 0)"


def fill(
    database: Postgres,
    runs: int,
    metrics: int,
    params: int,
    *,
    name: str = "old",
    now: float | None = None,
) -> None:
    """Put *runs* into a MLflow's *database*, and on the first time its experiments.

    The ids are made from *name*; the newest has begun *now*.
    """
    with psycopg2.connect(database.dsn) as connection, connection.cursor() as cursor:
        if name == "old":
            cursor.execute(_NEW_EXPERIMENTS, {"experiments": _EXPERIMENTS})
        cursor.execute(
            _NEW_RUNS,
            {
                "name": name, "runs": runs, "day": _DAY, "now": now or time.time(),
                "experiments": _EXPERIMENTS,
                "dags": _DAGS, "tags": list(_TAGS), "metrics": metrics, "params": params,
            },
        )  # fmt: skip


def cpu_seconds(pid: int) -> float:
    """Return what a process and its children have used."""
    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _idle(server: MlflowServer) -> float:
    """Return what the server uses in a second while nobody asks."""
    used = cpu_seconds(server.pid)
    time.sleep(_IDLE_SECONDS)
    return (cpu_seconds(server.pid) - used) / _IDLE_SECONDS


class _Site:
    """A MLflow where runs start and end, and the collectors that ask it, at a time of their own."""

    def __init__(self, database: Postgres, context: Context, metrics: int, params: int) -> None:
        self._database = database
        self._run = (metrics, params)
        self._skipped = 0.0
        self._started = 0
        self._begin = time.time()
        runs = RunsCollector(context, now=self._now, clock=self._clock)
        gateway = GatewayCollector(context, now=self._now, clock=self._clock)
        self._scrape = Scrape([runs, gateway, TrackingCollector(context, clock=self._clock)])

    def _now(self) -> float:
        return time.time() + self._skipped

    def _clock(self) -> float:
        return time.monotonic() + self._skipped

    def scrape(self) -> str:
        """Return the page, once all runs have started and ended that should have by now."""
        while self._begin + self._started * 86_400 / _DAY < self._now():
            self._start_one()
        page = generate_latest(self._scrape).decode()
        if _FAILED in page:
            raise SystemExit("the runs could not be read")
        return page

    def _start_one(self) -> None:
        number, at = self._started, self._begin + self._started * 86_400 / _DAY
        fill(self._database, 1, *self._run, name=f"new {number} ", now=at)
        with psycopg2.connect(self._database.dsn) as connection, connection.cursor() as cursor:
            cursor.execute(_START, [f"new {number} "])
            cursor.execute(_END, [at, f"new {number - 2} "])
        self._started += 1

    def skip(self, since: float) -> None:
        """Have the next scrape so long after the one that began at *since*, a monotonic time."""
        self._skipped += max(_INTERVAL - (time.monotonic() - since), 0)


def _pages(site: _Site) -> Iterator[str]:
    while True:
        began = time.monotonic()
        yield site.scrape()
        site.skip(began)


def _measure(folder: Path, metrics: int, params: int) -> str:
    with (
        postgres(folder / "postgres") as database,
        mlflow_server(folder / "mlflow", backend_store_uri=database.uri) as server,
        TrackingClient(server.url, environ={}, headers=probe.HEADERS) as client,
    ):
        fill(database, _RUNS, metrics, params)
        with psycopg2.connect(database.dsn) as connection:
            connection.autocommit = True
            connection.cursor().execute("ANALYZE")
        context = Context(client, open_store(f"sqlite:///{folder}/store.db"))
        pages = _pages(_Site(database, context, metrics, params))
        before = _idle(server)
        first, looks, page = [], set(), ""
        while "\nmlflow_dag_runs_limited 0.0" not in page:
            used = cpu_seconds(server.pid)
            page = next(pages)
            first.append(cpu_seconds(server.pid) - used)
        used, began = cpu_seconds(server.pid), time.monotonic()
        scrapes = _STEADY_HOURS * _HOUR // _INTERVAL
        for _ in range(scrapes):
            looks.add(_read_at(next(pages)))
        took = time.monotonic() - began
        used = cpu_seconds(server.pid) - used
        idle = (before + _idle(server)) / 2
    return (
        f"| {metrics} metrics, {params} parameters | {len(first)} | {max(first) * 1e3:.0f} ms"
        f" | {sum(first):.1f} s | {_STEADY_HOURS * _HOUR / len(looks):.0f} s"
        f" | {(used - idle * took) / scrapes * 1e3:.1f} ms | {idle * _INTERVAL * 1e3:.0f} ms |"
    )


def _read_at(page: str) -> str:
    """Return the line that says when MLflow was last asked for runs."""
    begin = "mlflow_dag_runs_read_timestamp_seconds "
    return next(line for line in page.splitlines() if line.startswith(begin))


def main() -> None:
    """Print the table."""
    print(
        "| runs with | first look | the most a scrape | all of it | later, a look every"
        " | a scrape | MLflow idle, as long |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|")
    for metrics, params in _KINDS:
        with tempfile.TemporaryDirectory() as folder:
            print(_measure(Path(folder), metrics, params), flush=True)


if __name__ == "__main__":
    main()
