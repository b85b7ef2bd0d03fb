"""What `test_interruption` runs: a part that never gets ready, until somebody presses Ctrl-C.

As `python -m`, for what Python does at its end depends on it.
"""

import os
import signal
import sys
from pathlib import Path

from stack.process import Interrupted, interruptible, running

__all__: list[str] = []


def _press_ctrl_c() -> None:
    # As where a class is made from a text, which dataclasses and named tuples are.
    exec("os.kill(os.getpid(), signal.SIGINT)", {"os": os, "signal": signal})


if __name__ == "__main__":
    with interruptible():
        try:
            with running(["sleep", "60"], log=Path(sys.argv[1]), ready=_press_ctrl_c):
                pass
        except Interrupted:
            sys.stdout.write("Stopped.\n")
