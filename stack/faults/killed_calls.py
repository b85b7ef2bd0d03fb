"""Log calls in forked processes, each killed (SIGKILL) at a line of flowgauge's own code.

`python -m stack.faults.killed_calls EXPERIMENT FIRST STEP`: the call with the number N is killed at
the Nth line that it comes to; prints the numbers, and last the one of the call that got through.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import flowgauge
from flowgauge.airflow import log_with_mlflow

# Less than half a minute with the lease: then others may send what the killed left.
_BUDGET_SECONDS = 5.0
_FLOWGAUGE = str(Path(flowgauge.__file__).parent)


def _log(experiment: str, number: int) -> None:
    payload = {"rows": 1, "params": {"call": str(number)}}
    log_with_mlflow(payload, experiment=experiment, budget_seconds=_BUDGET_SECONDS)


def _killer(line: int) -> Callable[[FrameType, str, Any], Any]:
    """Return a trace function that kills this process at the *line*-th line of flowgauge."""
    passed = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal passed
        if not frame.f_code.co_filename.startswith(_FLOWGAUGE):
            return None
        if event == "line":
            passed += 1
            if passed == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def _get_through(experiment: str, number: int) -> bool:
    """Return whether a call in a process of its own got to its end."""
    child = os.fork()
    if child == 0:
        killer = _killer(number)
        # SQLite's steps are done in a thread of their own.
        threading.settrace(killer)
        sys.settrace(killer)
        _log(experiment, number)
        sys.settrace(None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status)


def main(experiment: str, first: int, step: int) -> None:
    """See above."""
    # What is imported once is not gone through again; and the experiment is there.
    _log(experiment, 0)
    number = first
    through = False
    while not through:
        through = _get_through(experiment, number)
        print(number, flush=True)
        number += step


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
