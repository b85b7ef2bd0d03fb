"""The `airflow` command, for programs that run where Airflow is set up but not loaded."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.host.services import Connection
from flowgauge.airflow.uri import ask_airflow
from flowgauge.foreign import parse_json
from flowgauge.tracking.uri import TrackingUri

__all__ = ["ask_airflow_command"]

# Each question takes 3 to 4 seconds on an idle machine.
_SECONDS = 60.0


def ask_airflow_command(environ: Mapping[str, str] = os.environ) -> TrackingUri | None:
    """Return the URI that a task would find in Airflow's Connection or Variable."""
    if not _is_set_up(environ) or not shutil.which("airflow"):
        return None
    return ask_airflow(Deadline(_SECONDS), environ, _read_connection, _read_variable)


def _is_set_up(environ: Mapping[str, str]) -> bool:
    if environ.get("AIRFLOW_HOME"):
        return True
    # Where it is by default. If it is not there, the command would make it.
    return Path(environ.get("HOME") or "/", "airflow/airflow.cfg").is_file()


def _read_connection(conn_id: str, seconds: float) -> Connection | None:
    answer = _last_line(seconds, "connections", "get", conn_id, "--output", "json")
    if answer is None:
        return None
    try:
        (found,) = parse_json(answer)
        return Connection(
            conn_type=found["conn_type"],
            host=found["host"],
            port=int(found["port"]) if found["port"] else None,
            schema=found["schema"],
            login=found["login"],
            password=found["password"],
            extra_dejson=found["extra_dejson"] or {},
        )
    except (ValueError, TypeError, KeyError):
        return None


def _read_variable(name: str, seconds: float) -> str | None:
    return _last_line(seconds, "variables", "get", name)


def _last_line(seconds: float, *arguments: str) -> str | None:
    """Return what `airflow` printed last, after its log lines; None if it failed."""
    try:
        done = subprocess.run(
            ["airflow", *arguments],
            capture_output=True, encoding="utf-8", errors="replace", timeout=seconds, check=False,
        )  # fmt: skip
    # OSError is a command whose interpreter is gone, as that of a virtualenv that was moved.
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.splitlines()
    return lines[-1] if done.returncode == 0 and lines else None
