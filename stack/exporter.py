"""The flowgauge exporter."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stack.process import LOOPBACK, accepts, free_port, python_tool, running

__all__ = ["exporter"]


@contextmanager
def exporter(
    folder: Path,
    *,
    mlflow_uri: str,
    store: str,
    port: int | None = None,
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Run `flowgauge exporter` on loopback until the block ends; yield its URL.

    It looks for runs every second, not every minute, unless *options* say otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    address = f"{LOOPBACK}:{port}"
    url = f"http://{address}"
    command = [
        python_tool("flowgauge"), "exporter",
        "--mlflow-uri", mlflow_uri,
        "--store", store,
        "--web.listen-address", address,
        "--runs-interval-seconds", "1",
        *options,
    ]  # fmt: skip
    with running(
        command,
        log=folder / "exporter.log",
        env=env,
        # A web configuration may ask for TLS and a login: do without HTTP.
        ready=lambda: accepts(port),
    ):
        yield url
