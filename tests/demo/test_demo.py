import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from stack.process import free_port, wait_for

from .conftest import CHECKOUT, PARTS, Demo, start_demo

pytestmark = pytest.mark.whole_system(seconds=100)


class TestRun:
    """A demo from its first figures to Ctrl-C, in the order a visitor lives through it."""

    def test_shows_live_figures(self, demo: Demo) -> None:
        """A visitor sees requests, latency, payloads, pool use and alerts, from Prometheus."""
        line = demo.wait_for_output(r"(?m)^\d\d:\d\d:\d\d .*p95 \d+ ms.*$")[0]

        for figure in ("requests/s", "payloads logged", "in the outbox", "pool", "alerts: none"):
            assert figure in line

    def test_every_printed_address_answers(self, demo: Demo) -> None:
        """Each address the demo prints can be opened."""
        for port in demo.ports.values():
            printed = set(re.findall(rf"http://127\.0\.0\.1:{port}\S*", demo.output))
            assert printed
            for address in printed:
                assert httpx.get(address, follow_redirects=True).status_code == 200

    @pytest.mark.long
    def test_an_outage_defers_and_then_delivers(self, demo: Demo) -> None:
        """While MLflow is away DAGs defer and the alert fires; afterwards everything arrives."""
        subprocess.run(
            [sys.executable, "-m", "stack.outage", "--folder", str(demo.folder)],
            cwd=CHECKOUT,
            check=True,
        )

        demo.wait_for_output(r"[1-9]\d* in the outbox")
        demo.wait_for_output(r"MLflowDown")
        demo.wait_for_output(r"MLflow is back")
        wait_for(
            lambda: demo.prometheus.value("mlflow_outbox_entries") == 0,
            "the outbox is empty",
        )
        wait_for(
            lambda: "MLflowDown" not in demo.prometheus.firing(),
            "MLflowDown is over",
        )

    def test_a_second_one_is_refused(self, demo: Demo) -> None:
        """Two demos would fight over one folder: the second says which process runs already."""
        second = start_demo(demo.folder.parent)

        assert second.process.wait(120) == 1
        assert f"the demo runs already (process {demo.process.pid})" in second.output

    def test_stops_clean(self, demo: Demo) -> None:
        """Ctrl-C ends every process and leaves no state behind."""
        assert demo.stop() == 0
        assert [process for process in demo.seen if process.is_running()] == []
        assert not demo.folder.exists()
        assert demo.output.rstrip().endswith("Stopped.")


class TestTrouble:
    """What goes wrong, and a visitor's change of mind."""

    def test_a_taken_port_is_named(self, folder: Path) -> None:
        """A port in use is one sentence that names the part, the port and the option."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            command = [sys.executable, "-m", "stack.demo", "--folder", str(folder / "demo")]
            others = [f"--{part}-port={free_port()}" for part in PARTS]
            ran = subprocess.run(
                [*command, *others, f"--prometheus-port={port}"],
                cwd=CHECKOUT,
                capture_output=True,
                text=True,
                check=False,
            )

        assert ran.returncode == 1
        assert f"port {port} (prometheus)" in ran.stderr
        assert f"make run ARGS='--prometheus-port {port + 1}'" in ran.stderr

    def test_ctrl_c_during_set_up_leaves_nothing(self, folder: Path) -> None:
        """Whoever changes their mind during set-up leaves neither processes nor files."""
        demo = start_demo(folder)
        demo.wait_for_output(r"\[1/6\]")
        children = psutil.Process(demo.process.pid).children

        wait_for(children, "MLflow was started")

        assert demo.stop() == 0
        assert [process for process in demo.seen if process.is_running()] == []
        assert not demo.folder.exists()
