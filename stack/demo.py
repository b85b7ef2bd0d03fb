"""`make run`: the whole system on loopback, with a real DAG logging real rows.

MLflow with the server app, exporter, relay, Prometheus with the rules, Alertmanager and Airflow run
until Ctrl-C. SIGUSR1 (`make outage`) takes MLflow away for 30 seconds while the DAGs go on.
"""

import math
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click
import httpx
import psutil

from stack.airflow import airflow
from stack.exporter import exporter
from stack.mlflow import MlflowServer, mlflow_server
from stack.process import LOOPBACK, Interrupted, StackError, interruptible, pause
from stack.prometheus import Prometheus, alertmanager, prometheus
from stack.relay import relay
from stack.rules import scaled_rules

__all__ = ["DEFAULT_FOLDER", "main", "running_demo"]

_CHECKOUT = Path(__file__).parent.parent
DEFAULT_FOLDER = _CHECKOUT / ".run" / "demo"
_OUTAGE_SECONDS = 30
_LINE_SECONDS = 5
# Alerts are written for minutes; a visitor has seconds.
_RULES_FASTER = 10
_WINDOW = "1m"


@dataclass(frozen=True)
class _Ports:
    """Where each part listens on loopback."""

    mlflow: int
    exporter: int
    relay: int
    prometheus: int
    alertmanager: int
    airflow: int

    def require_free(self) -> None:
        taken = [name for name, port in vars(self).items() if _is_taken(port)]
        if taken:
            listed = " and ".join(f"{getattr(self, name)} ({name})" for name in taken)
            options = " ".join(f"--{name}-port {getattr(self, name) + 1}" for name in taken)
            raise click.ClickException(
                f"something else listens on port {listed}: "
                f"choose another with `make run ARGS='{options}'`."
            )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
        return False


class _Mlflow:
    """MLflow with the server app, which can be taken away and brought back."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._running = ExitStack()

    def start(self) -> MlflowServer:
        options = ["--app-name", "flowgauge"]
        server = mlflow_server(self._folder, port=self._port, options=options)
        return self._running.enter_context(server)

    def stop(self) -> None:
        self._running.close()


@click.command(context_settings={"show_default": True})
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=DEFAULT_FOLDER,
    help="Where its data lie while it runs; removed at the end.",
)
@click.option("--mlflow-port", default=5000, help="Port of MLflow.")
@click.option("--exporter-port", default=9877, help="Port of the flowgauge exporter.")
@click.option("--relay-port", default=9878, help="Port of the flowgauge relay.")
@click.option("--prometheus-port", default=9090, help="Port of Prometheus.")
@click.option("--alertmanager-port", default=9093, help="Port of Alertmanager.")
@click.option("--airflow-port", default=8080, help="Port of Airflow.")
def main(folder: Path, **ports: int) -> None:
    """Run the whole system on 127.0.0.1 until Ctrl-C."""
    chosen = _Ports(**{name.removesuffix("_port"): port for name, port in ports.items()})
    with interruptible(), _outages() as outages, _alone(folder):
        chosen.require_free()
        try:
            _run(folder, chosen, outages)
        except Interrupted:
            pass
        except StackError as error:
            raise click.ClickException(str(error)) from None
    click.echo("Stopped.")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold *folder*, made anew and removed at the end, for this process alone."""
    if (pid := running_demo(folder)) is not None:
        raise click.ClickException(f"the demo runs already (process {pid}): stop it with Ctrl-C.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _pid_file(folder).write_text(str(os.getpid()))
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def running_demo(folder: Path) -> int | None:
    """Return the process id of the demo that runs in *folder* now, if one does."""
    try:
        process = psutil.Process(int(_pid_file(folder).read_text()))
        is_demo = "stack.demo" in " ".join(process.cmdline())
    except (FileNotFoundError, ValueError, psutil.Error):
        return None
    return process.pid if is_demo else None


def _pid_file(folder: Path) -> Path:
    return folder / "demo.pid"


@contextmanager
def _outages() -> Iterator[list[int]]:
    """Turn each SIGUSR1 into an element of the list that is yielded."""
    outages: list[int] = []

    def outage(number: int, _frame: FrameType | None) -> None:
        outages.append(number)

    signal.signal(signal.SIGUSR1, outage)
    yield outages


def _run(folder: Path, ports: _Ports, outages: list[int]) -> None:
    store = f"sqlite:///{folder}/store.db"
    with ExitStack() as parts:
        progress = _Progress(total=6)
        mlflow = _Mlflow(folder / "mlflow", ports.mlflow)
        parts.callback(mlflow.stop)
        with progress("MLflow with the server app"):
            uri = mlflow.start().url
        with progress("exporter"):
            exporter_url = parts.enter_context(
                exporter(folder / "exporter", mlflow_uri=uri, store=store, port=ports.exporter)
            )
        with progress("relay"):
            sending = parts.enter_context(
                relay(folder / "relay", mlflow_uri=uri, store=store, port=ports.relay)
            )
        with progress("Alertmanager"):
            notifier = parts.enter_context(
                alertmanager(
                    folder / "alertmanager",
                    _CHECKOUT / "alerts" / "alertmanager.yml",
                    port=ports.alertmanager,
                )
            )
        with progress("Prometheus with the rules"):
            monitor = parts.enter_context(
                prometheus(
                    folder / "prometheus",
                    {
                        "mlflow": f"{LOOPBACK}:{ports.mlflow}",
                        "flowgauge": exporter_url[7:],
                        "flowgauge-relay": sending.url[7:],
                    },
                    rules=scaled_rules(folder / "rules", _RULES_FASTER),
                    alertmanager_address=notifier,
                    interval="2s",
                    port=ports.prometheus,
                )
            )
        with progress("Airflow (half a minute)"):
            scheduler = parts.enter_context(
                airflow(
                    folder / "airflow",
                    _CHECKOUT / "examples" / "dags",
                    port=ports.airflow,
                    env={"MLFLOW_TRACKING_URI": uri, "FLOWGAUGE_STORE": store},
                )
            )
        _print_addresses(
            {
                "MLflow": uri,
                "its metrics": f"{uri}/metrics",
                "exporter": exporter_url,
                "relay": sending.url,
                "Prometheus": monitor.url,
                "Alertmanager": f"http://{notifier}",
                "Airflow": scheduler.url,
            }
        )
        _watch(monitor, mlflow, outages)


class _Progress:
    """One line a step, with the time it took."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._step = 0

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        self._step += 1
        click.echo(f"[{self._step}/{self._total}] {what} ... ", nl=False)
        sys.stdout.flush()
        begin = time.monotonic()
        yield
        click.echo(f"{time.monotonic() - begin:.1f} s")


def _print_addresses(addresses: dict[str, str]) -> None:
    click.echo()
    for name, address in addresses.items():
        click.echo(f"  {name:<14}{address}")
    click.echo(
        f"\nA DAG logs real tables to MLflow. `make outage` in another terminal takes MLflow away "
        f"for {_OUTAGE_SECONDS} s.\nAlerts wait {_RULES_FASTER} times shorter here than in "
        "production. Ctrl-C stops everything.\n"
    )


def _watch(monitor: Prometheus, mlflow: _Mlflow, outages: list[int]) -> None:
    back_at: float | None = None
    while True:
        click.echo(_live_line(monitor))
        pause(_LINE_SECONDS)
        if back_at is None and outages:
            click.echo(f"MLflow is gone for {_OUTAGE_SECONDS} s; the DAGs go on.")
            mlflow.stop()
            back_at = time.monotonic() + _OUTAGE_SECONDS
        elif back_at is not None and time.monotonic() > back_at:
            mlflow.start()
            click.echo("MLflow is back; what was deferred arrives with the next runs.")
            back_at = None
            outages.clear()


def _live_line(monitor: Prometheus) -> str:
    def figure(expression: str, form: str) -> str:
        value = monitor.value(expression)
        return "-" if value is None or math.isnan(value) else form.format(value)

    try:
        figures = [
            figure(f"sum(rate(mlflow_http_requests_total[{_WINDOW}]))", "{:.1f} requests/s"),
            "p95 "
            + figure(
                "1000 * histogram_quantile(0.95, sum by (le) "
                f"(rate(mlflow_http_request_duration_seconds_bucket[{_WINDOW}])))",
                "{:.0f} ms",
            ),
            figure("sum(mlflow_dag_logs_total) or vector(0)", "{:.0f} payloads logged"),
            figure("sum(mlflow_dag_logs_deferred_total) or vector(0)", "{:.0f} deferred"),
            figure("sum(mlflow_outbox_entries) or vector(0)", "{:.0f} in the outbox"),
            "pool "
            + figure("100 * max(mlflow_db_pool_connections / mlflow_db_pool_limit)", "{:.0f} %"),
            "alerts: " + (", ".join(sorted(monitor.firing())) or "none"),
        ]
    except httpx.HTTPError:
        return "Prometheus does not answer."
    return f"{time.strftime('%H:%M:%S')}  " + " | ".join(figures)


if __name__ == "__main__":
    main()
