"""Servers that do not start, and what they say."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO

from stack.process import free_port, python_tool

__all__ = ["RefusedServer", "failure", "mlflow_command", "refused_server"]

# Nothing that one start does is left for the next. To tidy up what was imported takes a second.
_FORKING = """
import gc, json, os, signal, sys
import mlflow.cli, mlflow.server.fastapi_app
assert "flowgauge.server" not in sys.modules
gc.freeze()
for line in sys.stdin:
    start = json.loads(line)
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    signal.alarm(120)  # one that does start
    said = os.open(start["said"], os.O_WRONLY | os.O_CREAT)
    nothing = os.open(os.devnull, os.O_RDWR)
    for old, new in ((nothing, 0), (nothing, 1), (said, 2)):
        os.dup2(old, new)
    os.environ.clear()
    os.environ.update(start["env"])
    os.chdir(start["folder"])
    sys.argv = start["command"]
    exec(start["first"])
    try:
        mlflow.cli.cli()
    except SystemExit as ended:
        sys.stderr.flush()
        os._exit(ended.code)
"""


def mlflow_command(folder: Path, *options: str) -> list[str]:
    """Return a `mlflow server` with the app; it serves artifacts only, which spares a database."""
    artifacts = ("--artifacts-only", "--artifacts-destination", str(folder))
    app = ("--app-name", "flowgauge")
    return [python_tool("mlflow"), "server", "--port", str(free_port()), *app, *artifacts, *options]


def failure(command: Sequence[str], folder: Path, **env: str) -> tuple[int, str]:
    """Return the exit code and standard error of a server that does not start."""
    ended = subprocess.run(
        command,
        env={**os.environ, **env},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return ended.returncode, _checked(ended.stderr)


def _checked(said: str) -> str:
    assert "Traceback" not in said
    assert "Application startup complete" not in said
    return said


class RefusedServer:
    """A `mlflow server` that has imported MLflow, and is forked for each start: that is cheap."""

    def __init__(self, starts: IO[str], codes: IO[str]) -> None:
        self._starts = starts
        self._codes = codes
        self._numbers = count()

    def __call__(self, folder: Path, *options: str, first: str = "", **env: str) -> tuple[int, str]:
        """Return what `failure` does of `mlflow_command`, which runs the code *first* before."""
        said = folder / f"said{next(self._numbers)}"
        start = {
            "command": mlflow_command(folder, *options),
            "env": {**os.environ, **env},
            "first": first,
            "folder": str(folder),
            "said": str(said),
        }
        self._starts.write(json.dumps(start) + "\n")
        self._starts.flush()
        code = int(self._codes.readline())
        text = said.read_text()
        said.unlink()
        return code, _checked(text)


@contextmanager
def refused_server() -> Iterator[RefusedServer]:
    """Give one, until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _FORKING],
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield RefusedServer(process.stdin, process.stdout)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
