"""Ctrl-C at any moment: what was started is stopped, and the exit code is 0."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import pytest

from stack import process
from stack.process import Interrupted, interruptible, running

from .conftest import CHECKOUT

_MARK = "STARTED_BY"
_TRACED = {process.__file__, subprocess.__file__}


def test_where_python_would_end_by_the_signal(folder: Path) -> None:
    """Wherever Python is when the signal comes, the process ends by itself."""
    command = [sys.executable, "-m", "tests.demo.interrupted", str(folder / "log")]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split("\n") == ["", "Stopping ...", "Stopped.", ""]


@pytest.mark.long
def test_at_every_line_of_a_start(folder: Path) -> None:
    """No process is left behind, also not one that was just about to be started."""
    for line in itertools.count(1):
        pid = os.fork()
        if not pid:
            os._exit(_start(folder, interrupted_at=line))
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) == _NOT_INTERRUPTED:
            break
        assert os.waitstatus_to_exitcode(status) == _INTERRUPTED, f"at line {line}"
    assert line > 50
    assert [each for each in psutil.process_iter() if _was_started_here(each)] == []


_INTERRUPTED, _NOT_INTERRUPTED, _BROKEN = 10, 20, 30


def _start(folder: Path, interrupted_at: int) -> int:
    """Start a process and stop it; return whether the signal at the line counted came in time."""
    lines = itertools.count(1)
    mark = {_MARK: str(os.getppid())}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in _TRACED:
            return None
        if event == "line" and next(lines) == interrupted_at:
            os.kill(os.getpid(), signal.SIGINT)
        return trace

    try:
        with interruptible():
            sys.settrace(trace)
            with running(["sleep", "60"], log=folder / "log", env=mark, ready=lambda: True):
                sys.settrace(None)
                process.pause(0)
    except Interrupted:
        return _INTERRUPTED
    except BaseException:  # noqa: BLE001 - whatever it is: pytest must not go on in this process
        return _BROKEN
    return _NOT_INTERRUPTED


def _was_started_here(found: psutil.Process) -> bool:
    try:
        return found.name() == "sleep" and found.environ().get(_MARK) == str(os.getpid())
    except psutil.Error:
        return False
