"""Puts the parts together in a worker."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from flowgauge.server import prometheus_files
from flowgauge.server.access import guard, own_address
from flowgauge.server.apps import application, load
from flowgauge.server.business import show_from_the_start
from flowgauge.server.containment import Containment
from flowgauge.server.dag_places import max_pairs
from flowgauge.server.dag_requests import DagRequests
from flowgauge.server.event_loop import EventLoopLag
from flowgauge.server.instruments import Instruments
from flowgauge.server.inventory import InventoryPage, inventory_seconds, keep_inventory
from flowgauge.server.metrics_folder import keep
from flowgauge.server.middleware import MetricsMiddleware
from flowgauge.server.mlflow_host import (
    databases,
    flask_routes,
    plain_app,
    serve_by_uvicorn,
    static_prefix,
)
from flowgauge.server.page import MetricsPage
from flowgauge.server.pool import PoolWatch
from flowgauge.server.port import serve_page
from flowgauge.server.reserved import settle_all
from flowgauge.server.routes import Routes
from flowgauge.server.webhooks import count_webhooks
from flowgauge.server.worker_files import WorkerFiles
from flowgauge.server.worker_processes import WorkerProcesses

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["assemble"]

_PAGE = "/metrics"
_EVERY_SECONDS = 1.0


def assemble(name: str | None, folder: Path, check: Callable[[], None]) -> "ASGIApp":
    """Return the MLflow application *name*, the plain one if None, measured, with its `/metrics`.

    The workers share *folder*. The order matters: dead workers are buried before this one makes
    its first metric, *check* raises before anything is patched, and the pools are watched before
    MLflow opens its first connection.
    """
    prometheus_files.supported()
    prometheus_files.require_files()
    prometheus_files.use_reserved_files()
    files = WorkerFiles(folder)
    files.bury_the_dead()
    serve_by_uvicorn()
    check()
    instruments = Instruments()
    show_from_the_start(instruments)
    contained = Containment(instruments.measuring_failed)
    dags = DagRequests(folder, max_pairs(), contained)
    pools = PoolWatch(instruments, contained)
    pools.install()
    lag = EventLoopLag()
    _publish_forever(
        contained,
        pools.publish,
        lambda: instruments.event_loop_lag.set(lag.worst()),
        lambda: keep(folder),
        settle_all,
        dags.look,
    )
    instruments.worker_starts.inc()
    app = application(load(name)) if name else plain_app()
    count_webhooks(instruments, contained)
    prefix = static_prefix()
    with contained:
        keep_inventory(folder, databases(name), contained, inventory_seconds())
    inventory = InventoryPage(folder, contained)
    page = MetricsPage(
        _together(files, dags, WorkerProcesses(files.living), inventory), guard(name)
    )
    address = own_address()
    if address:
        with contained:
            serve_page(page, _PAGE, address)
    return MetricsMiddleware(
        app,
        instruments=instruments,
        contained=contained,
        dags=dags,
        routes=Routes(flask_routes(), prefix),
        page=page,
        page_paths=frozenset() if address else frozenset({_PAGE, prefix + _PAGE}),
        at_start=lag.watch,
    )


def _publish_forever(contained: Containment, *publishers: Callable[[], object]) -> None:
    """Have a thread call each of *publishers* once a second; a fault of one is *contained*."""

    def publish() -> None:
        while True:
            for each in publishers:
                with contained:
                    each()
            time.sleep(_EVERY_SECONDS)

    threading.Thread(target=publish, name="flowgauge-gauges", daemon=True).start()


def _together(*collectors: Collector) -> Collector:
    together = CollectorRegistry()
    for each in collectors:
        together.register(each)
    return together
