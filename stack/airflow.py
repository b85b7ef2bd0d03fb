"""A real Airflow: scheduler, DAG processor and API server on SQLite."""

import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from stack.process import LOOPBACK, StackError, answers, free_port, python_tool, running

__all__ = ["Airflow", "airflow", "airflow_home"]


@dataclass(frozen=True)
class Airflow:
    """A running Airflow; `env` lets the `airflow` command talk to it."""

    url: str
    env: Mapping[str, str]

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run of *dag_id* and return its run id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        answer = httpx.post(f"{self.url}/api/v2/dags/{dag_id}/dagRuns", json=body, timeout=30)
        answer.raise_for_status()
        run_id: str = answer.json()["dag_run_id"]
        return run_id

    def state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a DAG run: queued, running, success or failed."""
        answer = httpx.get(f"{self.url}/api/v2/dags/{dag_id}/dagRuns/{run_id}", timeout=30)
        answer.raise_for_status()
        state: str = answer.json()["state"]
        return state


def airflow_home(
    folder: Path,
    dags: Path,
    *,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Make an Airflow with a SQLite database in *folder*; return the environment that selects it.

    Enough for `airflow dags test`, `airflow tasks test` and `airflow variables`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags.resolve()),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{LOOPBACK}:{port}/execution/",
        "AIRFLOW__API__BASE_URL": f"http://{LOOPBACK}:{port}/",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        **(env or {}),
    }
    migrated = subprocess.run(
        [python_tool("airflow"), "db", "migrate"],
        env=_with_tools(settings),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if migrated.returncode != 0:
        raise StackError(f"airflow db migrate failed:\n{migrated.stderr[-2000:]}")
    return settings


@contextmanager
def airflow(
    folder: Path,
    dags: Path,
    *,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Airflow]:
    """Run Airflow on the DAG files in *dags* until the block ends.

    DAGs start unpaused; tasks run in processes of their own, at most four at a time. *env* reaches
    the tasks.
    """
    port = port or free_port()
    settings = airflow_home(folder, dags, port=port, env=env)
    url = f"http://{LOOPBACK}:{port}"
    command = python_tool("airflow")
    api_server = [command, "api-server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    started: list[subprocess.Popen[bytes]] = []
    with ExitStack() as parts:

        def start(arguments: list[str], name: str, ready: Any = lambda: True) -> None:
            log = folder / f"{name}.log"
            process = parts.enter_context(
                running(arguments, log=log, env=_with_tools(settings), cwd=folder, ready=ready)
            )
            started.append(process)

        start(api_server, "api-server", lambda: answers(f"{url}/api/v2/version"))
        # Without its log server, which listens on every interface.
        start([command, "scheduler", "--skip-serve-logs"], "scheduler")
        start([command, "dag-processor"], "dag-processor")
        try:
            yield Airflow(url, settings)
        finally:
            # Each takes seconds to end: let them do it side by side.
            for process in started:
                process.terminate()


def _with_tools(settings: Mapping[str, str]) -> dict[str, str]:
    return {
        **settings,
        "PATH": f"{Path(python_tool('airflow')).parent}:/usr/local/bin:/usr/bin:/bin",
    }
