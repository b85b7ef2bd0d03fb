"""What it costs to learn how MLflow's jobs are: asked of its API, and counted in its database.

    python -m benchmarks.jobs

A stock MLflow on one worker and SQLite, with 10,000 jobs of 1 kB each that have ended.
"""

import json
import sqlite3
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path

import httpx
import psutil

from flowgauge.server.inventory import count
from stack.mlflow import MlflowServer, mlflow_server

_JOBS = 10_000
_PARAMETERS = json.dumps({"experiment_id": "1", "scorers": "x" * 900})
_FILL = """
INSERT INTO jobs (id, creation_time, job_name, params, workspace, status, result, retry_count,
                  last_update_time)
VALUES (?, ?, 'run_online_trace_scorer', ?, 'default', ?, '{"n": 1}', 0, ?)
"""
_ENDED = ["SUCCEEDED", "FAILED", "TIMEOUT"]


def main() -> None:
    """Print what each of the two took."""
    with tempfile.TemporaryDirectory() as folder, mlflow_server(Path(folder)) as server:
        now = int(time.time() * 1000)
        with closing(sqlite3.connect(f"{folder}/mlflow.db")) as database:
            database.executemany(
                _FILL,
                [
                    (uuid.uuid4().hex, now, _PARAMETERS, 3 if number % 20 == 0 else 2, now)
                    for number in range(_JOBS)
                ],
            )
            database.commit()
        before, began = _cpu_seconds(server), time.perf_counter()
        search = f"{server.url}/ajax-api/3.0/jobs/search"
        answer = httpx.post(search, json={"statuses": _ENDED}, timeout=600).raise_for_status()
        took, cpu = time.perf_counter() - began, _cpu_seconds(server) - before
        print(
            f"API: {took:.1f} s, {cpu:.1f} s of the processor; {len(answer.content) / 1e6:.1f} MB"
        )
        began = time.perf_counter()
        count(Path(folder), {"tracking": f"sqlite:///{folder}/mlflow.db"})
        print(f"the whole inventory, jobs included: {time.perf_counter() - began:.3f} s")


def _cpu_seconds(server: MlflowServer) -> float:
    command = psutil.Process(server.pid)
    times = [process.cpu_times() for process in [command, *command.children(recursive=True)]]
    return sum(used.user + used.system for used in times)


if __name__ == "__main__":
    main()
