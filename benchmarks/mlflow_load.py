"""What the exporter's scrapes cost MLflow, on a site with many runs.

    python -m benchmarks.mlflow_load

MLflow on PostgreSQL, with 100,000 runs of 300 DAGs in 2,000 experiments, 6,000 of them of the last
24 hours, and a new one every 14.4 s, which ends 30 s later; once with 3 metrics and 3 parameters a
run, once with 30 and 20. All are put in by SQL, so that what MLflow's processes use is for the
exporter alone; what they use while nobody asks is left out. The first look begins with the
exporter's first scrape and ends when all runs are known; then ten minutes are measured. Prometheus
would scrape every 15 s, and so does this.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx
import psutil
import psycopg2

from stack.exporter import exporter
from stack.mlflow import mlflow_server
from stack.postgres import Postgres, postgres

__all__ = ["cpu_seconds", "fill"]

_RUNS, _DAY, _EXPERIMENTS, _DAGS = 100_000, 6_000, 2_000, 300
_KINDS = ((3, 3), (30, 20))
_AS_DEFAULT = ("--runs-interval-seconds", "60")
_SUCCESS = 'flowgauge_collector_success{collector="runs"} 1.0'
_INTERVAL, _STEADY_SCRAPES = 15, 40
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
       (extract(epoch FROM clock_timestamp()) * 1000 - n * 86400000.0 / %(day)s)::bigint AS began
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
_END = (
    "UPDATE runs SET status = 'FINISHED', end_time = extract(epoch FROM now()) * 1000"
    " WHERE run_uuid = md5(%s || 0)"
)


def fill(database: Postgres, runs: int, metrics: int, params: int, *, name: str = "old") -> None:
    """Put *runs* into a MLflow's *database*, and on the first time its experiments.

    The ids are made from *name*.
    """
    with psycopg2.connect(database.dsn) as connection, connection.cursor() as cursor:
        if name == "old":
            cursor.execute(_NEW_EXPERIMENTS, {"experiments": _EXPERIMENTS})
        cursor.execute(
            _NEW_RUNS,
            {
                "name": name, "runs": runs, "day": _DAY, "experiments": _EXPERIMENTS,
                "dags": _DAGS, "tags": list(_TAGS), "metrics": metrics, "params": params,
            },
        )  # fmt: skip


def cpu_seconds(pid: int) -> float:
    """Return what a process and its children have used."""
    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return sum(each.user + each.system for each in times)


@contextmanager
def _work(database: Postgres, metrics: int, params: int) -> Iterator[None]:
    """Start a run every 14.4 s, and end it two later, until the block ends."""
    end = Event()

    def work() -> None:
        number = 0
        while not end.wait(86_400 / _DAY):
            fill(database, 1, metrics, params, name=f"new {number} ")
            with psycopg2.connect(database.dsn) as connection, connection.cursor() as cursor:
                cursor.execute(_START, [f"new {number} "])
                cursor.execute(_END, [f"new {number - 2} "])
            number += 1

    worker = Thread(target=work)
    worker.start()
    yield
    end.set()
    worker.join()


def _measure(folder: Path, metrics: int, params: int) -> str:
    with (
        postgres(folder / "postgres") as database,
        mlflow_server(folder / "mlflow", backend_store_uri=database.uri) as server,
    ):
        fill(database, _RUNS, metrics, params)
        with psycopg2.connect(database.dsn) as connection:
            connection.autocommit = True
            connection.cursor().execute("ANALYZE")
        used = cpu_seconds(server.pid)
        time.sleep(60)
        idle = (cpu_seconds(server.pid) - used) / 60
        store = f"sqlite:///{folder}/store.db"
        with (
            _work(database, metrics, params),
            exporter(
                folder / "exporter", mlflow_uri=server.url, store=store, options=_AS_DEFAULT
            ) as url,
            httpx.Client(base_url=url, timeout=60) as client,
        ):

            def scrape() -> tuple[float, str]:
                """Return the processor time until the next scrape, and the page."""
                used = cpu_seconds(server.pid)
                page = client.get("/metrics").raise_for_status().text
                if _SUCCESS not in page:
                    raise SystemExit("the runs could not be read")
                time.sleep(_INTERVAL)
                return cpu_seconds(server.pid) - used - idle * _INTERVAL, page

            first, page = [], ""
            while "\nmlflow_dag_runs_limited 0.0" not in page:
                used, page = scrape()
                first.append(used)
            steady = [scrape()[0] for _ in range(_STEADY_SCRAPES)]
    return (
        f"| {metrics} metrics, {params} parameters | {len(first)} | {max(first) * 1e3:.0f} ms"
        f" | {sum(first):.1f} s | {sum(steady) / len(steady) * 1e3:.1f} ms"
        f" | {max(steady) * 1e3:.0f} ms |"
    )


def main() -> None:
    """Print the table."""
    print("| runs with | first look | the most a scrape | all | later | the most a scrape |")
    print("|---|--:|--:|--:|--:|--:|")
    for metrics, params in _KINDS:
        with tempfile.TemporaryDirectory() as folder:
            print(_measure(Path(folder), metrics, params), flush=True)


if __name__ == "__main__":
    main()
