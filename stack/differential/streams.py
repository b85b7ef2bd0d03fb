"""Large artifacts up and down: how much memory a server takes for them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import psutil

from stack.mlflow import MlflowServer

__all__ = ["Streamed", "stream"]

_PART = bytes(range(256)) * 4096
_ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/large.bin"


@dataclass(frozen=True)
class Streamed:
    """By how many bytes a server grew while it took a file, and while it gave it back."""

    up: int
    down: int


def stream(server: MlflowServer, megabytes: int, login: tuple[str, str] | None = None) -> Streamed:
    """Put a file of so many *megabytes* and get it again; raise if it is not the same."""
    with httpx.Client(base_url=server.url, timeout=600, auth=login) as client:
        with _Growth(server.pid) as up:
            client.put(_ARTIFACT, content=_parts(megabytes)).raise_for_status()
        received = 0
        with _Growth(server.pid) as down, client.stream("GET", _ARTIFACT) as answer:
            for part in answer.raise_for_status().iter_bytes(len(_PART)):
                assert part == _PART
                received += len(part)
    assert received == megabytes * len(_PART)
    return Streamed(up.bytes, down.bytes)


def _parts(number: int) -> Iterator[bytes]:
    for _ in range(number):
        yield _PART


class _Growth:
    """By how much the processes of a server grew at most, together, within the block."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before: dict[int, int] = {}
        self.bytes = 0

    def __enter__(self) -> Self:
        for process in psutil.Process(self._pid).children(recursive=True):
            with suppress(OSError):
                # Its highest is what it is now: man 5 proc.
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")
                self._before[process.pid] = _highest(process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        for pid, before in self._before.items():
            with suppress(OSError):
                self.bytes += max(_highest(pid) - before, 0)


def _highest(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
