"""`make outage`: ask the running demo to take MLflow away for a while."""

import os
import signal
import sys

from stack.demo import running_demo


def main() -> None:
    """Send the demo its signal, or say that none runs."""
    pid = running_demo()
    if pid is None:
        sys.exit("No demo runs here: start one with `make run`.")
    os.kill(pid, signal.SIGUSR1)
    print("MLflow goes away for 30 s: watch the terminal of `make run`.")


if __name__ == "__main__":
    main()
