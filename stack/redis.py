"""A real Redis, or a Valkey, without persistence."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.process import LOOPBACK, free_port, running

__all__ = ["redis_server"]


@contextmanager
def redis_server(folder: Path, *, port: int | None = None) -> Iterator[str]:
    """Run it on loopback until the block ends; yield its `redis://` URL.

    `STACK_REDIS` names another program than redis-server.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    options = ["--save", "", "--appendonly", "no", "--dir", str(folder)]
    program = os.environ.get("STACK_REDIS", "redis-server")
    command = [program, "--port", str(port), "--bind", LOOPBACK, *options]
    with running(command, log=folder / "redis.log", ready=lambda: _pong(port)):
        yield f"redis://{LOOPBACK}:{port}/0"


def _pong(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
