"""A real MLflow server."""

import atexit
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from stack.process import LOOPBACK, answers, command_line, free_port, python_tool, running

__all__ = ["MlflowServer", "accounts", "mlflow_server", "workers"]


@dataclass(frozen=True)
class MlflowServer:
    """A running server: its address, process id and log."""

    url: str
    pid: int
    log: Path


@contextmanager
def mlflow_server(
    folder: Path,
    *,
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    port: int | None = None,
    workers: int = 1,
    backend_store_uri: str | None = None,
    jobs: bool = False,
    ready: Callable[[], object] | None = None,
) -> Iterator[MlflowServer]:
    """Run `mlflow server` on loopback, its data in *folder*, until the block ends.

    *options* are added to the command line; with *jobs* it runs MLflow's job consumers too, which
    take eight processes and are off by default. *ready* tells whether it answers, where plain HTTP
    at `/health` would not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    log = folder / "mlflow.log"
    url = f"http://{LOOPBACK}:{port}"
    command = [
        python_tool("mlflow"), "server",
        "--host", LOOPBACK,
        "--port", str(port),
        "--workers", str(workers),
        "--artifacts-destination", str(folder / "artifacts"),
        *options,
    ]  # fmt: skip
    database = folder / "mlflow.db"
    is_new = not ("--artifacts-only" in options or backend_store_uri or database.exists())
    if is_new and _tables().exists():
        shutil.copy(_tables(), database)
    if "--artifacts-only" not in options:
        command += ["--backend-store-uri", backend_store_uri or f"sqlite:///{database}"]
    settings = {
        # MLflow starts `python -m uvicorn`: it must find this environment's.
        "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": str(jobs).lower(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # It would fetch lists of language models, and without the net try for minutes.
        "MLFLOW_MODEL_CATALOG_URI": "",
        **(env or {}),
    }
    ready = ready or (lambda: answers(f"{url}/health"))
    with running(command, log=log, env=settings, cwd=folder, ready=ready) as process:
        if is_new and not _tables().exists():
            with (
                closing(sqlite3.connect(database)) as made,
                closing(sqlite3.connect(_tables())) as kept,
            ):
                made.backup(kept)
        yield MlflowServer(url, process.pid, log)


@cache
def _tables() -> Path:
    """Return where MLflow's database is kept as it is at first, once this process has seen one.

    To make its tables takes a server a second of the processor.
    """
    folder = tempfile.mkdtemp(prefix="flowgauge-tables-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "mlflow.db"


def accounts(folder: Path, admin: tuple[str, str]) -> dict[str, str]:
    """Return the environment of a basic-auth that keeps its users, *admin* first, in *folder*."""
    configuration = folder / "basic_auth.ini"
    configuration.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        # Before 3.16, MLflow has no variables for them.
        f"admin_username = {admin[0]}\nadmin_password = {admin[1]}\n"
        # Without it every request costs the hash of a password.
        "auth_cache_ttl_seconds = 600\n"
        f"database_uri = sqlite:///{folder}/accounts.db\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(configuration),
        "MLFLOW_AUTH_ADMIN_USERNAME": admin[0],
        "MLFLOW_AUTH_ADMIN_PASSWORD": admin[1],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "static",
    }


def workers(server_pid: int) -> list[psutil.Process]:
    """Return the uvicorn workers of `mlflow server`, or uvicorn itself where it is the worker."""
    [uvicorn] = [
        child for child in psutil.Process(server_pid).children() if "uvicorn" in command_line(child)
    ]
    spawned = [child for child in uvicorn.children() if "spawn_main" in command_line(child)]
    return spawned or [uvicorn]
