"""`flowgauge check` as a user runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

import pytest

from flowgauge.cli import main
from stack.process import LOOPBACK, python_tool

__all__ = ["NOWHERE", "Answer", "check", "run_check", "run_check_command", "run_flowgauge"]

NOWHERE = f"http://{LOOPBACK}:1"  # tcpmux, which nobody serves


@dataclass(frozen=True)
class Answer:
    """What the command said: its JSON by step, the status and its exit code."""

    steps: Mapping[str, Mapping[str, str]]
    exit_code: int
    everything: str

    def status(self, step: str) -> str:
        """Return ok, failed or skipped."""
        return self.steps[step]["status"]

    def message(self, step: str) -> str:
        """Return what was found, or what is wrong and its cure."""
        return self.steps[step]["message"]


def run_flowgauge(
    folder: Path, environ: Mapping[str, str], *arguments: str
) -> CompletedProcess[str]:
    """Run `flowgauge` in *folder*, with nothing set but *environ*.

    In this process: a Python of its own would take a second to start.
    """
    said, failed = StringIO(), StringIO()
    with (
        patch.dict(os.environ, environ, clear=True),
        patch.object(sys, "argv", ["flowgauge", *arguments]),
        chdir(folder),
        redirect_stdout(said),
        redirect_stderr(failed),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    code = int(ended.value.code or 0)
    return _unbroken(CompletedProcess(sys.argv, code, said.getvalue(), failed.getvalue()))


def run_check(folder: Path, *options: str, **environ: str) -> CompletedProcess[str]:
    """Run the command in *folder*, with a store there and nothing else set."""
    return run_flowgauge(folder, _settings(folder) | environ, "check", *options)


def run_check_command(folder: Path, *options: str) -> CompletedProcess[str]:
    """Run the command likewise, as a shell does."""
    command = [python_tool("flowgauge"), "check", *options]
    env = _settings(folder)
    return _unbroken(
        subprocess.run(
            command, env=env, cwd=folder, capture_output=True, text=True, check=False, timeout=150
        )
    )


def _settings(folder: Path) -> dict[str, str]:
    return {
        "PATH": str(Path(python_tool("flowgauge")).parent),
        "HOME": str(folder),
        "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db",
    }


def _unbroken(done: CompletedProcess[str]) -> CompletedProcess[str]:
    assert "Traceback" not in done.stderr
    assert "nobody expected" not in done.stderr
    return done


def check(folder: Path, *options: str, **environ: str) -> Answer:
    """Run the command likewise, and read its JSON."""
    done = run_check(folder, "--output", "json", *options, **environ)
    answer = json.loads(done.stdout)
    assert answer["ok"] == (done.returncode == 0)
    steps = {step["name"]: step for step in answer["steps"]}
    return Answer(steps, done.returncode, done.stdout + done.stderr)
