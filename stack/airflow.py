"""A real Airflow, 2 or 3: all that runs DAGs, on SQLite."""

import fcntl
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from stack.process import LOOPBACK, StackError, answers, free_port, running

__all__ = ["AIRFLOW_PYTHON", "Airflow", "airflow", "airflow_home", "airflow_version"]

_TEMPLATES = Path(__file__).parents[1] / ".run"

# The interpreter of the Airflow to test: by default the one that everything else runs in.
AIRFLOW_PYTHON = os.environ.get("AIRFLOW_PYTHON", sys.executable)


@dataclass(frozen=True)
class Airflow:
    """A running Airflow.

    `env` lets the `airflow` command talk to it. Airflow 2 has nothing at `url`: its scheduler runs
    alone.
    """

    url: str
    env: Mapping[str, str]

    def trigger(
        self, dag_id: str, conf: Mapping[str, Any] | None = None, *, run_id: str | None = None
    ) -> str:
        """Start a run of *dag_id* and return its run id, which is *run_id* if that is given."""
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf or {})}
        if run_id:
            body["dag_run_id"] = run_id
        url = f"{self.url}/api/v2/dags/{dag_id}/dagRuns"
        answer = httpx.post(url, json=body, timeout=30, verify=False)
        answer.raise_for_status()
        started: str = answer.json()["dag_run_id"]
        return started

    def state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a DAG run: queued, running, success or failed."""
        # Asked over and over: without certificates, which plain HTTP does not need.
        url = f"{self.url}/api/v2/dags/{dag_id}/dagRuns/{run_id}"
        answer = httpx.get(url, timeout=30, verify=False)
        answer.raise_for_status()
        state: str = answer.json()["state"]
        return state


@cache
def airflow_version(python: str = sys.executable) -> str:
    """Return the version of Airflow that is installed beside *python*."""
    code = "from importlib.metadata import version; print(version('apache-airflow'))"
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, start_new_session=True
    )
    return done.stdout.strip()


def airflow_home(
    folder: Path,
    dags: Path,
    *,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> dict[str, str]:
    """Make an Airflow with a SQLite database in *folder*; return the environment that selects it.

    *python* is the interpreter beside which Airflow is installed. Enough for `airflow dags test`,
    `airflow tasks test` and `airflow variables`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags.resolve()),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        # Airflow 2 runs one task at a time on SQLite.
        "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor" if _is_2(python) else "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{LOOPBACK}:{port}/execution/",
        "AIRFLOW__API__BASE_URL": f"http://{LOOPBACK}:{port}/",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        # None, which 3.0 has by itself, is refused by the PyJWT of today.
        "AIRFLOW__API_AUTH__JWT_ISSUER": "airflow",
        # A busy machine takes longer than Airflow's five seconds to start a task, and the task is
        # killed for it.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PATH": f"{Path(python).parent}:/usr/local/bin:/usr/bin:/bin",
        **(env or {}),
    }
    database = folder / "airflow.db"
    if database.exists():
        _migrate(folder, settings, python)
    else:
        shutil.copyfile(_empty_database(python), database)
    return settings


@contextmanager
def airflow(
    folder: Path,
    dags: Path,
    *,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> Iterator[Airflow]:
    """Run the Airflow of *python* on the DAG files in *dags* until the block ends.

    DAGs start unpaused; tasks run in processes of their own, at most four at a time. *env* reaches
    the tasks.
    """
    port = port or free_port()
    settings = airflow_home(folder, dags, port=port, env=env, python=python)
    url = f"http://{LOOPBACK}:{port}"
    command = _command(python)
    api_server = [command, "api-server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    started: list[subprocess.Popen[bytes]] = []
    with ExitStack() as parts:

        def start(arguments: list[str], name: str, ready: Any = lambda: True) -> None:
            log = folder / f"{name}.log"
            process = parts.enter_context(
                running(arguments, log=log, env=settings, cwd=folder, ready=ready)
            )
            started.append(process)

        if not _is_2(python):
            start(api_server, "api-server", lambda: answers(f"{url}/api/v2/version"))
            start([command, "dag-processor"], "dag-processor")
        # Without its log server, which listens on every interface.
        start([command, "scheduler", "--skip-serve-logs"], "scheduler")
        try:
            yield Airflow(url, settings)
        finally:
            # Each takes seconds to end: let them do it side by side.
            for process in started:
                process.terminate()


def _empty_database(python: str) -> Path:
    """Return a migrated database that is to be copied: each migration takes seconds."""
    _TEMPLATES.mkdir(exist_ok=True)
    template = _TEMPLATES / f"airflow-{airflow_version(python)}.db"
    with template.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            with tempfile.TemporaryDirectory(dir=_TEMPLATES) as name:
                env = {
                    "AIRFLOW_HOME": name,
                    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                    "PATH": f"{Path(python).parent}:/usr/bin:/bin",
                }
                _migrate(Path(name), env, python)
                Path(name, "airflow.db").rename(template)
    return template


def _migrate(folder: Path, env: Mapping[str, str], python: str) -> None:
    migrated = subprocess.run(
        [_command(python), "db", "migrate"],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    if migrated.returncode != 0:
        raise StackError(f"airflow db migrate failed:\n{migrated.stderr[-2000:]}")


def _command(python: str) -> str:
    return str(Path(python).with_name("airflow"))


def _is_2(python: str) -> bool:
    return airflow_version(python).startswith("2.")
