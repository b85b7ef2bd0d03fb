"""What happens before a worker serves: the checks, and the folder where the workers' metrics meet.

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
from typing import TYPE_CHECKING, Any

import click

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.redact import quote
from flowgauge.server import metrics_folder
from flowgauge.server.apps import (
    APP_VARIABLE,
    OURS,
    check_arguments,
    load,
    measured_app,
    named_app,
)
from flowgauge.server.logins import keep_login
from flowgauge.server.metrics_folder import FOLDER_VARIABLE
from flowgauge.server.mlflow_host import (
    BASIC_AUTH,
    EXPOSE_VARIABLE,
    bootstrap_basic_auth,
    check_basic_auth,
    server_options,
    supported,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

__all__ = ["FOLDER_VARIABLE", "create_app", "prepare_server"]

# By it `mlflow server` tells its workers that all is checked.
_PREPARED_VARIABLE = "_FLOWGAUGE_SERVER_PREPARED"
# uvicorn's exit code for an app that cannot start: its supervisor then stops instead of starting
# the worker again and again.
_STARTUP_FAILURE = 3
# With any other it starts the worker again. The command had found all well, so what is wrong may
# pass, such as the absence of a database that a login asks at its start.
_FAILURE = 1


def prepare_server() -> None:
    """Check all that can be checked before `mlflow server` starts its workers, and tell them.

    They get a folder to share, in the one that PROMETHEUS_MULTIPROC_DIR names, or
    --expose-prometheus, with an earlier server's files removed, or in a new one that vanishes with
    this process. In any other process this does nothing.

    Ends the command with one sentence for what cannot work.
    """
    options = server_options()
    if options is None or options["app_name"] not in OURS:
        return
    try:
        _prepare(options)
    except FlowgaugeError as error:
        click.echo(f"Error: {error}", err=True)
        click.get_current_context().exit(error.exit_code)


def _prepare(options: Mapping[str, Any]) -> None:
    for option in ("gunicorn_opts", "waitress_opts"):
        if options.get(option) is not None:
            raise UsageError(
                f"--{option.replace('_', '-')} cannot be combined with flowgauge, which measures "
                "MLflow under uvicorn, its default server: leave it out"
            )
    kept = options["app_name"]
    wanted = os.environ.get(APP_VARIABLE)
    if not wanted:
        check_arguments(sys.argv[1:], kept)
    app = measured_app(named_app([*sys.argv[1:], f"--app-name={kept}"]), wanted)
    exposed = os.environ.pop(EXPOSE_VARIABLE, None) or options.get("expose_prometheus")
    # Meanwhile unset: what the check imports would keep this process's own metrics there.
    folder = os.environ.pop(FOLDER_VARIABLE, None)
    _check(app)
    _check_address(options.get("port"))
    if exposed:
        _warn("--expose-prometheus is on, and flowgauge takes over: /metrics is flowgauge's page.")
    folder = folder or exposed
    if folder:
        _share(metrics_folder.claim, folder)
    else:
        _share_new_folder()
    if app:
        os.environ[APP_VARIABLE] = app
    if app == BASIC_AUTH:
        bootstrap_basic_auth()
    os.environ[_PREPARED_VARIABLE] = "true"


def _check(app: str | None) -> None:
    """Raise `FlowgaugeError` if *app* cannot be measured, or not without harm."""
    supported(app)
    keep_login(app, os.environ)
    if app == BASIC_AUTH:
        check_basic_auth()
    if app:
        load(app)
    # Not at the top: it rests on starlette, which `mlflow server` has loaded by now.
    from flowgauge.server import prometheus_files  # noqa: PLC0415
    from flowgauge.server.access import check_access  # noqa: PLC0415
    from flowgauge.server.dag_places import max_pairs  # noqa: PLC0415
    from flowgauge.server.inventory import inventory_seconds  # noqa: PLC0415

    prometheus_files.supported()
    max_pairs()
    inventory_seconds()
    warning = check_access(app)
    if warning:
        _warn(warning)


def _check_address(port_of_mlflow: int | None = None) -> None:
    from flowgauge.address import listen  # noqa: PLC0415 - as above
    from flowgauge.server.access import ADDRESS_VARIABLE, own_address  # noqa: PLC0415

    address = own_address()
    if not address:
        return
    if address[1] == port_of_mlflow:  # the kernel would give half of MLflow's requests to the page
        raise UsageError(
            f"{ADDRESS_VARIABLE} is {os.environ[ADDRESS_VARIABLE]!r}, which is MLflow's own port: "
            "choose another one, or leave it out to have /metrics on MLflow's port"
        )
    listen(*address, ADDRESS_VARIABLE).close()


def create_app(named: str | None = None) -> "ASGIApp":
    """Return, in a worker, the measured application; *named* is the one to measure.

    Ends the process with a sentence that says what to do if that cannot be.
    """
    prepared = os.environ.get(_PREPARED_VARIABLE)
    try:
        app = measured_app(named, os.environ.get(APP_VARIABLE))
        _join_workers()
        # Not at the top: prometheus_client decides at its import where metrics are kept.
        from flowgauge.server.assembly import assemble  # noqa: PLC0415

        return assemble(
            app,
            Path(os.environ[FOLDER_VARIABLE]),
            lambda: keep_login(app, os.environ) if prepared else _check_alone(app),
        )
    except FlowgaugeError as error:
        _warn(str(error))
        may_pass = prepared and not isinstance(error, UsageError)
        sys.exit(_FAILURE if may_pass else _STARTUP_FAILURE)


def _check_alone(app: str | None) -> None:
    _check(app)
    if multiprocessing.parent_process() is None:  # else another worker may listen there already
        _check_address()


def _join_workers() -> None:
    """Make sure that there is a folder all workers share, and that MLflow's collector is off.

    A single worker that uvicorn was asked for directly gets a folder of its own. Several workers
    cannot agree on one by themselves; gunicorn's, which it forks, do not know how many they are.
    """
    exposed = os.environ.pop(EXPOSE_VARIABLE, None)
    named = os.environ.get(FOLDER_VARIABLE) or exposed
    if named:
        _share(metrics_folder.join, named)
        return
    of_gunicorn = os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn/")
    if of_gunicorn or multiprocessing.parent_process() is not None:
        raise UsageError(
            "several workers need a folder to share their metrics in; start them with "
            f"`mlflow server --app-name flowgauge`, or set {FOLDER_VARIABLE} to an empty folder"
        )
    _share_new_folder()


def _share_new_folder() -> None:
    try:
        folder = tempfile.mkdtemp(prefix="flowgauge-")
    except OSError as error:
        raise FlowgaugeError(
            "the workers' metrics need a temporary folder, and none can be made, "
            f"{error.strerror}: set {FOLDER_VARIABLE} to a folder that the server may write"
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _share(metrics_folder.claim, folder)


def _share(take: "Callable[[Path], Path]", named: str) -> None:
    try:
        os.environ[FOLDER_VARIABLE] = str(take(Path(named)))
    except OSError as error:
        raise FlowgaugeError(
            f"the workers' metrics cannot be written to {quote(named)!r}: {error.strerror}: "
            f"set {FOLDER_VARIABLE} to a folder that the server may write"
        ) from error


def _warn(sentence: str) -> None:
    click.echo(f"flowgauge: {sentence}", err=True)
