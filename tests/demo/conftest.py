import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from stack.process import answers, free_port, wait_for
from stack.prometheus import Prometheus

CHECKOUT = Path(__file__).parents[2]
PARTS = ("mlflow", "exporter", "relay", "prometheus", "alertmanager", "airflow")


@dataclass
class Demo:
    """A `make run` of its own, on free ports in a folder of its own."""

    process: subprocess.Popen[str]
    log: Path
    folder: Path
    ports: dict[str, int]
    seen: list[psutil.Process] = field(default_factory=list)

    @property
    def output(self) -> str:
        """All it has printed."""
        return self.log.read_text()

    @property
    def prometheus(self) -> Prometheus:
        """Its Prometheus."""
        return Prometheus(f"http://127.0.0.1:{self.ports['prometheus']}")

    def wait_for_output(self, pattern: str, timeout: float = 300) -> re.Match[str]:
        """Wait for *pattern* in what it prints."""
        wait_for(
            lambda: re.search(pattern, self.output) or self.process.poll() is not None,
            f"{pattern!r} in the demo's output",
            timeout=timeout,
        )
        found = re.search(pattern, self.output)
        assert found, self.output
        return found

    def stop(self) -> int:
        """Press Ctrl-C; return the exit code and remember which processes there were."""
        if self.process.poll() is None:
            self.seen = psutil.Process(self.process.pid).children(recursive=True)
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(240)


def start_demo(folder: Path) -> Demo:
    """Start a demo whose data lie in `demo` below *folder*."""
    data = folder / "demo"
    ports = {part: free_port() for part in PARTS}
    log = folder / f"{ports['mlflow']}.log"
    options = [word for part, port in ports.items() for word in (f"--{part}-port", str(port))]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "stack.demo", "--folder", str(data), *options],
            cwd=CHECKOUT,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return Demo(process, log, data, ports)


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The running demo, once its first payload is in MLflow and Prometheus knows of it."""
    demo = start_demo(tmp_path_factory.mktemp("demo"))
    try:
        demo.wait_for_output(r"[1-9]\d* payloads logged")
        assert answers(f"{demo.prometheus.url}/-/ready")
        yield demo
    finally:
        demo.stop()
