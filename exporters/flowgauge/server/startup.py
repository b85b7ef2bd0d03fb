"""Where the workers' metrics meet: one folder, empty at every start of the server.

Each worker keeps its metrics in files of the multi-process folder, and whichever worker answers a
scrape adds up the files of all:
https://prometheus.github.io/client_python/multiprocess/
"""

import atexit
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from flowgauge.errors import UsageError
from flowgauge.server import metrics_folder
from flowgauge.server.metrics_folder import FOLDER_VARIABLE

__all__ = ["FOLDER_VARIABLE", "join_workers", "prepare_server", "server_options"]

_APP_NAMES = ("flowgauge", "flowgauge-basic-auth")
# How `mlflow server --expose-prometheus` tells its workers.
_EXPOSE_VARIABLE = "prometheus_multiproc_dir"
_EXPOSE_REFUSAL = (
    "--expose-prometheus (MLFLOW_EXPOSE_PROMETHEUS, prometheus_multiproc_dir) cannot be combined "
    "with flowgauge, which exports the same metrics with other labels; leave it out."
)
# uvicorn's exit code for an app that cannot start: its supervisor then stops instead of starting
# the worker again and again.
_STARTUP_FAILURE = 3


def server_options() -> Mapping[str, Any] | None:
    """Return the options of `mlflow server` if this process is that command, running flowgauge."""
    context = click.get_current_context(silent=True)
    if context is None or context.params.get("app_name") not in _APP_NAMES:
        return None
    return context.params


def prepare_server() -> None:
    """Give the workers that `mlflow server` is about to start an empty folder to share.

    The folder is in the one PROMETHEUS_MULTIPROC_DIR names, with an earlier server's files removed,
    or in a new one that vanishes with this process. In any other process this does nothing.

    Raises `click.UsageError` for options that flowgauge cannot serve and for a folder that is not
    safe or not free, and `click.ClickException`
    for a folder that cannot be written; click prints both as one sentence.
    """
    options = server_options()
    if options is None:
        return
    if options.get("expose_prometheus") or os.environ.get(_EXPOSE_VARIABLE):
        raise click.UsageError(_EXPOSE_REFUSAL)
    for option in ("gunicorn_opts", "waitress_opts"):
        if options.get(option) is not None:
            raise click.UsageError(
                f"--{option.replace('_', '-')} cannot be combined with flowgauge, which measures "
                "MLflow under uvicorn, its default server; leave it out."
            )
    folder = os.environ.get(FOLDER_VARIABLE)
    try:
        if folder:
            os.environ[FOLDER_VARIABLE] = str(metrics_folder.claim(Path(folder)))
        else:
            _share_new_folder()
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"The workers' metrics cannot be written to {folder or tempfile.gettempdir()!r}: "
            f"{error.strerror}. Set {FOLDER_VARIABLE} to a folder that the server may write."
        ) from error


def join_workers() -> None:
    """Make sure, in a worker, that there is a folder all workers share.

    A single worker that uvicorn was asked for directly gets a folder of its own. Several workers
    cannot agree on one by themselves; their processes end with a sentence that says what to do.
    """
    if os.environ.get(_EXPOSE_VARIABLE):
        _refuse(_EXPOSE_REFUSAL)
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        _join(Path(folder))
        return
    if multiprocessing.parent_process() is not None:
        _refuse(
            "several workers need a folder to share their metrics in; start them with "
            f"`mlflow server --app-name flowgauge`, or set {FOLDER_VARIABLE} to an empty folder."
        )
    _share_new_folder()


def _share_new_folder() -> None:
    folder = tempfile.mkdtemp(prefix="flowgauge-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[FOLDER_VARIABLE] = str(metrics_folder.claim(Path(folder)))


def _join(folder: Path) -> None:
    try:
        os.environ[FOLDER_VARIABLE] = str(metrics_folder.join(folder))
    except UsageError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"the workers' metrics cannot be written to {str(folder)!r}: {error.strerror}.")


def _refuse(sentence: str) -> NoReturn:
    click.echo(f"flowgauge: {sentence}", err=True)
    sys.exit(_STARTUP_FAILURE)
