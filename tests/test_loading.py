"""Modules that are loaded while another thread forks."""

import subprocess
import sys

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


def test_a_fork_waits_for_what_is_being_loaded_and_for_nothing_else() -> None:
    """What is loaded makes a logger, and a fork has the lock for these only once that is done."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout == "waited"
