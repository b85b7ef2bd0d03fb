"""A real forward proxy, as companies put between their workers and everything else."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.process import LOOPBACK, accepts, free_port, running

__all__ = ["forward_proxy"]


@contextmanager
def forward_proxy(folder: Path) -> Iterator[str]:
    """Run an HTTP proxy on loopback until the block ends; yield its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "proxy", "--hostname", LOOPBACK, "--port", str(port),
               "--num-workers", "1", "--num-acceptors", "1"]  # fmt: skip
    log = folder / "proxy.log"
    with running(command, log=log, cwd=folder, ready=lambda: accepts(port)):
        yield f"http://{LOOPBACK}:{port}"
