"""The flowgauge relay."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.process import LOOPBACK, answers, free_port, python_tool, running

__all__ = ["Relay", "relay"]


@dataclass(frozen=True)
class Relay:
    """A running relay: its address, process and log."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def relay(
    folder: Path,
    *,
    mlflow_uri: str,
    store: str,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Relay]:
    """Run `flowgauge relay` on loopback until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    url = f"http://{LOOPBACK}:{port}"
    command = [python_tool("flowgauge"), "relay", "--mlflow-uri", mlflow_uri, "--store", store]
    with running(
        [*command, "--web.listen-address", f"{LOOPBACK}:{port}"],
        log=folder / "relay.log",
        env=env,
        ready=lambda: answers(f"{url}/healthz"),
    ) as process:
        yield Relay(url, process, folder / "relay.log")
