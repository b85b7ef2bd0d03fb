"""`flowgauge relay`."""

import logging
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from time import time

import click
from prometheus_client import CollectorRegistry, Counter, Gauge

from flowgauge.address import listen, parse_address
from flowgauge.airflow.connection import connect
from flowgauge.airflow.outbox import Flushed
from flowgauge.airflow.relay import Relay
from flowgauge.airflow.spool import SpoolState
from flowgauge.cli.options import (
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
from flowgauge.exporter.serve import serve
from flowgauge.exporter.tls import ServerTls
from flowgauge.exporter.web import Page, web_app
from flowgauge.exporter.web_config import WebConfigFile
from flowgauge.metrics import (
    RELAY_LAG,
    RELAY_SENT,
    RELAY_SET_ASIDE,
    RELAY_SPOOL,
    RELAY_UP,
    Metric,
)
from flowgauge.redact import redact_url
from flowgauge.store import open_store
from flowgauge.store.outbox import OutboxState

__all__ = ["relay"]

_STORE_SECONDS = 4.0
# What is being sent is sent to the end.
_STOP_SECONDS = 20.0
_log = logging.getLogger("flowgauge.relay")


@click.command(context_settings={"show_default": True})
@mlflow_uri_option
@store_option
@click.option(
    "--web.listen-address",
    "listen_address",
    metavar="HOST:PORT",
    default=":9878",
    envvar="FLOWGAUGE_RELAY_LISTEN_ADDRESS",
    show_envvar=True,
    help="Where to listen; without HOST on all interfaces, as Prometheus' exporters do.",
)
@telemetry_path_option
@web_config_option
@log_level_option
@log_format_option
def relay(
    *,
    mlflow_uri: str | None,
    store: str | None,
    listen_address: str,
    metrics_path: str,
    web_config: Path | None,
    log_level: str,
    log_format: str,
) -> None:
    """Send what the outbox holds, whether or not anybody logs, until SIGTERM or Ctrl-C.

    Several relays share the work. Each keeps to the rate limit `mlflow_api`, takes turns with the
    calls of tasks, and waits while MLflow is away.
    """
    set_up_logging(log_level, log_format)
    host, port = parse_address(listen_address, "--web.listen-address")
    uri = tracking_uri(mlflow_uri)
    registry = CollectorRegistry()
    stop = Event()
    config = WebConfigFile(web_config)
    tls = ServerTls(config.tls)
    with closing(open_store(store, timeout_seconds=_STORE_SECONDS)) as opened:
        app = web_app(
            lambda _seconds: registry, {"store": opened.outbox.is_due}, metrics_path, _PAGE
        )
        sending = Relay(opened, lambda: connect(uri.value), _Metrics(registry), stop)
        thread = Thread(target=sending.run, name="flowgauge-relay", daemon=True)
        with listen(host, port, "--web.listen-address") as listener:
            place = "{}:{}".format(*listener.getsockname())
            address = redact_url(uri.value)
            _log.info("Listening on %s; MLflow is %s, from %s.", place, address, uri.source)
            thread.start()
            serve(BasicAuth(app, config.users), listener, tls)
        stop.set()
        thread.join(_STOP_SECONDS)
    _log.info("Stopped.")


_PAGE = Page(
    "flowgauge relay",
    "Sends to MLflow what the outbox of flowgauge's store holds.",
    "the store answers",
)


class _Metrics:
    """What the relay says of itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sent = Counter(*_described(RELAY_SENT), registry=registry)
        self._set_aside = Counter(*_described(RELAY_SET_ASIDE), registry=registry)
        self._lag = Gauge(*_described(RELAY_LAG), registry=registry)
        self._spool = Gauge(*_described(RELAY_SPOOL), RELAY_SPOOL.labels, registry=registry)
        self._up = Gauge(*_described(RELAY_UP), registry=registry)

    def saw(self, state: OutboxState) -> None:
        """See `Observer`."""
        self._lag.set(0 if state.oldest is None else max(time() - state.oldest, 0))

    def saw_spool(self, state: SpoolState) -> None:
        """See `Observer`."""
        self._spool.labels("waiting").set(state.waiting)
        self._spool.labels("bad").set(state.bad)

    def sent(self, flushed: Flushed) -> None:
        """See `Observer`."""
        self._sent.inc(flushed.sent)
        self._set_aside.inc(flushed.set_aside)

    def is_up(self, up: bool) -> None:
        """See `Observer`."""
        self._up.set(up)


def _described(metric: Metric) -> tuple[str, str]:
    return metric.name, metric.help
