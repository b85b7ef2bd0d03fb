"""`flowgauge check` as a user runs it."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.process import LOOPBACK, python_tool

__all__ = ["NOWHERE", "Answer", "check", "run_check"]

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


def run_check(folder: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in *folder*, with a store there and nothing else set."""
    settings = {
        "PATH": str(Path(python_tool("flowgauge")).parent),
        "HOME": str(folder),
        "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db",
        **environ,
    }
    done = subprocess.run(
        [python_tool("flowgauge"), "check", *options],
        env=settings, cwd=folder, capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


def check(folder: Path, *options: str, **environ: str) -> Answer:
    """Run the command likewise, and read its JSON."""
    done = run_check(folder, "--output", "json", *options, **environ)
    answer = json.loads(done.stdout)
    assert answer["ok"] == (done.returncode == 0)
    steps = {step["name"]: step for step in answer["steps"]}
    return Answer(steps, done.returncode, done.stdout + done.stderr)
