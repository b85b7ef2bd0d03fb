"""Puts the parts together in a worker."""

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from flowgauge.server.instruments import Instruments
from flowgauge.server.middleware import MetricsMiddleware
from flowgauge.server.page import Guard, MetricsPage
from flowgauge.server.pool import PoolWatch
from flowgauge.server.routes import Routes
from flowgauge.server.startup import FOLDER_VARIABLE
from flowgauge.server.worker_files import WorkerFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

__all__ = ["assemble"]

_PAGE = "/metrics"


def assemble(load_mlflow: "Callable[[], ASGIApp]", guard: Guard | None = None) -> "ASGIApp":
    """Return the MLflow application that *load_mlflow* gives, measured, with its `/metrics`.

    The order matters: dead workers are buried before this one makes its first metric, and the
    pools are watched before MLflow opens its first connection.
    """
    files = WorkerFiles(Path(os.environ[FOLDER_VARIABLE]))
    files.bury_the_dead()
    instruments = Instruments()
    pools = PoolWatch(instruments)
    pools.install()
    threading.Thread(target=pools.publish_forever, name="flowgauge-pools", daemon=True).start()
    app = load_mlflow()

    from mlflow.server import app as flask_app  # noqa: PLC0415 - loading MLflow has its order too
    from mlflow.server.handlers import STATIC_PREFIX_ENV_VAR  # noqa: PLC0415

    prefix = os.environ.get(STATIC_PREFIX_ENV_VAR, "").rstrip("/")
    return MetricsMiddleware(
        app,
        instruments=instruments,
        routes=Routes(flask_app.url_map, prefix),
        page=MetricsPage(files, guard),
        page_paths=frozenset({_PAGE, prefix + _PAGE}),
    )
