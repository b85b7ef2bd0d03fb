"""How long the server app's count of what is in MLflow takes a large database.

    python -m benchmarks.inventory

PostgreSQL with 1,000,000 runs of ten tags each, as many traces, and 100,000 versions of 1,000
models. The tables of figures and facts are empty: they are not read, nor are the tags.
"""

import logging
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psycopg2
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from flowgauge.server.inventory import count
from stack.postgres import Postgres, postgres

_COUNTS = 9
# Of a fill that nobody need trust: what keeps it safe, and the indexes row by row, took hours.
_SETTINGS = (
    *("wal_level=minimal", "max_wal_senders=0", "max_wal_size=32GB", "full_page_writes=off"),
    *("autovacuum=off", "synchronous_commit=off", "maintenance_work_mem=512MB"),
)
_INDEXES_OF_TAGS = "SELECT indexdef FROM pg_indexes WHERE tablename = 'tags'"
_WITHOUT_INDEXES = """
ALTER TABLE tags DROP CONSTRAINT tag_pk;
DROP INDEX index_tags_run_uuid;
"""
_FILL = """
INSERT INTO experiments (name, lifecycle_stage) SELECT n, 'active' FROM generate_series(1, 2000) n;

INSERT INTO runs (run_uuid, status, lifecycle_stage, artifact_uri, experiment_id)
SELECT md5(n::text), CASE WHEN n % 20 = 0 THEN 'FAILED' ELSE 'FINISHED' END,
       CASE WHEN n % 50 = 0 THEN 'deleted' ELSE 'active' END,
       's3://bucket/' || md5(n::text) || '/artifacts', 1 + n % 2000
FROM generate_series(1, 1000000) AS n;

SET LOCAL session_replication_role = replica; -- ten million look-ups of a run less
INSERT INTO tags (key, value, run_uuid)
SELECT 'tag ' || t, 'value', md5(n::text)
FROM generate_series(1, 1000000) AS n, generate_series(1, 10) AS t;

INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, status)
SELECT md5(n::text), 1 + n % 2000, n, 'OK' FROM generate_series(1, 1000000) AS n;

INSERT INTO registered_models (name) SELECT n FROM generate_series(1, 1000) AS n;

INSERT INTO model_versions (name, version, current_stage)
SELECT 1 + n % 1000, 1 + n / 1000, 'None' FROM generate_series(0, 99999) AS n;
"""


def _fill(database: Postgres) -> None:
    """Put all in, and say how much that is."""
    with closing(psycopg2.connect(database.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(_INDEXES_OF_TAGS)
        indexes = [definition for (definition,) in cursor.fetchall()]
        cursor.execute(_WITHOUT_INDEXES + _FILL)
        for definition in indexes:
            cursor.execute(definition)
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT count(*) FROM runs UNION ALL SELECT count(*) FROM tags")
        print("{:,} runs, {:,} tags".format(*(number for (number,) in cursor.fetchall())))


def main() -> None:
    """Print the median and the longest time."""
    logging.disable()
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres(Path(folder, "postgres"), *_SETTINGS) as database,
    ):
        SqlAlchemyStore(database.uri, folder)
        _fill(database)
        seconds = []
        for _ in range(_COUNTS):
            began = time.perf_counter()
            count(Path(folder), {"tracking": database.uri, "registry": database.uri})
            seconds.append(time.perf_counter() - began)
    print(f"p50 {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")


if __name__ == "__main__":
    main()
