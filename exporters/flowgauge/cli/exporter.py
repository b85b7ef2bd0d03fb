"""`flowgauge exporter`."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from flowgauge import probe
from flowgauge.address import listen, parse_address
from flowgauge.cli.options import (
    Finite,
    log_format_option,
    log_level_option,
    mlflow_uri_option,
    set_up_logging,
    store_option,
    telemetry_path_option,
    tracking_uri,
    web_config_option,
)
from flowgauge.exporter.auth import BasicAuth
from flowgauge.exporter.collector import Context
from flowgauge.exporter.collectors import COLLECTORS, make_collectors
from flowgauge.exporter.scrape import Scrape
from flowgauge.exporter.serve import serve
from flowgauge.exporter.tls import ServerTls
from flowgauge.exporter.web import Check, Page, web_app
from flowgauge.exporter.web_config import WebConfigFile
from flowgauge.exporter.workspaces import probe as probe_mlflow
from flowgauge.store import open_store
from flowgauge.tracking.client import TrackingClient

__all__ = ["exporter"]

_READY_SECONDS = 4.0
# Reading all totals takes longer than a task's half second for one count.
_STORE_SECONDS = 4.0
_DAY_SECONDS = 24 * 3600
_PAGE = Page(
    "flowgauge exporter",
    "Metrics of MLflow and of the Airflow DAGs that log to it.",
    "MLflow and the store answer",
)
_log = logging.getLogger("flowgauge.exporter")


def _collector_options(command: Callable[..., None]) -> Callable[..., None]:
    for name in reversed(list(COLLECTORS)):
        command = click.option(
            f"--collector.{name}/--no-collector.{name}",
            f"collector_{name}",
            default=True,
            envvar=f"FLOWGAUGE_COLLECTOR_{name.upper()}",
            show_envvar=True,
            help=f"Run the collector {name}, or leave it out.",
        )(command)
    return command


@click.command(context_settings={"show_default": True})
@mlflow_uri_option
@store_option
@click.option(
    "--max-dag-tasks",
    "max_pairs",
    type=click.IntRange(min=0),
    default=1000,
    envvar="FLOWGAUGE_MAX_DAG_TASKS",
    show_envvar=True,
    help="Pairs of DAG and task with labels of their own; more are summed up as other.",
)
@click.option(
    "--forget-dag-tasks-after-days",
    "forget_days",
    type=Finite(min=1),
    default=90,
    envvar="FLOWGAUGE_FORGET_DAG_TASKS_AFTER_DAYS",
    show_envvar=True,
    help="What pairs of DAG and task counted that logged nothing for so long moves to other.",
)
@click.option(
    "--runs-interval-seconds",
    type=Finite(min=0),
    default=60,
    envvar="FLOWGAUGE_RUNS_INTERVAL_SECONDS",
    show_envvar=True,
    help="MLflow is asked for runs at most so often; up to ten times less, if it answers slowly.",
)
@click.option(
    "--max-workspaces",
    type=click.IntRange(min=1),
    default=20,
    envvar="FLOWGAUGE_MAX_WORKSPACES",
    show_envvar=True,
    help="Workspaces of MLflow in which runs are read, unless MLFLOW_WORKSPACE names one.",
)
@click.option(
    "--web.listen-address",
    "listen_address",
    metavar="HOST:PORT",
    default=":9877",
    envvar="FLOWGAUGE_WEB_LISTEN_ADDRESS",
    show_envvar=True,
    help="Where to listen; without HOST on all interfaces, as Prometheus' exporters do.",
)
@telemetry_path_option
@web_config_option
@_collector_options
@log_level_option
@log_format_option
def exporter(
    *,
    mlflow_uri: str | None,
    store: str | None,
    max_pairs: int,
    forget_days: float,
    runs_interval_seconds: float,
    max_workspaces: int,
    listen_address: str,
    metrics_path: str,
    web_config: Path | None,
    log_level: str,
    log_format: str,
    **collectors: bool,
) -> None:
    """Show Prometheus what MLflow and the store know, until SIGTERM or Ctrl-C.

    Every option may be given by its environment variable. MLflow and the store may be down: the
    exporter then says so, and recovers with them.
    """
    set_up_logging(log_level, log_format)
    host, port = parse_address(listen_address, "--web.listen-address")
    uri = tracking_uri(mlflow_uri)
    tracking = TrackingClient(uri.value, headers=probe.HEADERS)
    context = Context(
        tracking,
        open_store(store, timeout_seconds=_STORE_SECONDS),
        max_pairs,
        forget_days * _DAY_SECONDS,
        runs_interval_seconds,
        max_workspaces,
    )
    chosen = [name for name in COLLECTORS if collectors[f"collector_{name}"]]
    scrape = Scrape(make_collectors(context, chosen))
    app = web_app(scrape.within, _checks(uri.value, context), metrics_path, _PAGE)
    config = WebConfigFile(web_config)
    tls = ServerTls(config.tls)
    with listen(host, port, "--web.listen-address") as listener:
        place = "{}:{}".format(*listener.getsockname())
        _log.info("Listening on %s; MLflow is %s, from %s.", place, tracking.address, uri.source)
        serve(BasicAuth(app, config.users), listener, tls)
    _log.info("Stopped.")


def _checks(uri: str, context: Context) -> Mapping[str, Check]:
    # With connections of its own: anybody may ask, and a call that takes too long ends the others.
    tracking = TrackingClient(uri, headers=probe.HEADERS)
    return {
        "MLflow": lambda: probe_mlflow(tracking, _READY_SECONDS),
        "store": context.store.windows.states,
    }
