"""What is loaded, or made ready at its first use, while another thread forks."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from threading import Thread

import pytest

from flowgauge.airflow.turnstile import Turnstile
from flowgauge.background import Workers, in_background
from flowgauge.loading import loading
from tests.interruption import interrupt

_LONGEST_SECONDS = 10

# What forks is a program that has loaded nothing else before flowgauge, as a small script.
_PROGRAM = """
from flowgauge.airflow import log_with_mlflow
import os, threading
from flowgauge import loading

forking, is_loading = threading.Event(), threading.Event()
# Hooks before a fork run in the reverse order of their registration.
os.register_at_fork(before=forking.set)

def load():
    with loading.loading():
        is_loading.set()
        forking.wait()
        # As any module does that is loaded.
        import logging
        for number in range(10_000):
            logging.getLogger(str(number))

thread = threading.Thread(target=load)
thread.start()
is_loading.wait()
child = os.fork()
if child == 0:
    os.write(1, b"waited" if loading._forking.has_lock else b"gave up")
    os._exit(0)
os.waitpid(child, 0)
thread.join()
"""

# The same while a task reads the rate limits of its environment.
_READER = """
from flowgauge.airflow.limit_settings import limit_settings
import os, threading
from pydantic import BaseModel

forking, is_reading, has_read = threading.Event(), threading.Event(), []
os.register_at_fork(before=forking.set)
validate = BaseModel.model_validate.__func__

def slowly(model, content):
    is_reading.set()
    forking.wait()
    threading.Event().wait(0.1)
    validated = validate(model, content)
    has_read.append(True)
    return validated

BaseModel.model_validate = classmethod(slowly)
thread = threading.Thread(target=limit_settings)
thread.start()
is_reading.wait()
child = os.fork()
if child == 0:
    os.write(1, b"waited" if has_read else b"found it half done")
    os._exit(0)
os.waitpid(child, 0)
thread.join()
"""


def _said(program: str, environ: Mapping[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_fork_waits_for_what_is_being_loaded_and_for_nothing_else() -> None:
    """What is loaded makes a logger, and a fork has the lock for these only once that is done."""
    assert _said(_PROGRAM, {}) == "waited"


def test_a_fork_waits_for_the_rate_limits_that_are_being_read(tmp_path: Path) -> None:
    """A child that has pydantic's lock, and not the thread that has it, would hang for ever."""
    (tmp_path / "prod.yaml").write_text(
        "domains: {mlflow: mlflow.example.com}\n"
        "rate_limits: {mlflow_api: {max_calls: 20, window_seconds: 60}}\n"
    )
    environ = {"FLOWGAUGE_ENVIRONMENTS": str(tmp_path), "ENV": "prod"}
    assert _said(_READER, environ) == "waited"


def _load() -> None:
    with loading():
        pass


_turnstile = Turnstile(width=1)
_workers = Workers("tried")
_numbers = count()
_worked: Counter[int] = Counter()


def _work() -> Callable[[], None]:
    number = next(_numbers)
    return lambda: _worked.update([number])


@pytest.mark.parametrize(
    "call",
    [
        _load,
        lambda: _turnstile.through(_work()),
        lambda: in_background(_work(), "tried").result(_LONGEST_SECONDS),
        lambda: _workers.start(_work()).result(_LONGEST_SECONDS),
    ],
    ids=["loading", "turnstile", "background", "workers"],
)
def test_a_task_that_is_interrupted_keeps_nobody_waiting(call: Callable[[], object]) -> None:
    """Its error is no other's, and kept for its callbacks; other threads go on meanwhile."""
    # The first call goes through the most places.
    places, _ = interrupt(call, sys.maxsize)
    kept = []
    for place in range(1, places + 1):
        kept.append(interrupt(call, place))
        other = Thread(target=call, daemon=True)
        other.start()
        other.join(_LONGEST_SECONDS)
        assert not other.is_alive()
    assert any(raised for _, raised in kept)
    # What was interrupted may have been done beside it.
    assert set(_worked.values()) <= {1}
