"""Which MLflow application is measured, and where it comes from.

MLflow has one slot for an application, `--app-name`, and logins sit in it. So flowgauge takes the
slot and measures the application that would be there without it.
"""

import inspect
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import FunctionType
from typing import TYPE_CHECKING, Any

from flowgauge.errors import UsageError
from flowgauge.server.mlflow_host import BASIC_AUTH, from_wsgi

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["APP_VARIABLE", "OURS", "application", "load", "measured_app", "named_app"]

APP_VARIABLE = "FLOWGAUGE_MLFLOW_APP"

_GROUP = "mlflow.app"
_OPTION = "--app-name"
OURS = {"flowgauge": None, "flowgauge-basic-auth": BASIC_AUTH}
"""The names of our own applications, and the application that each stands for."""


def named_app(arguments: Sequence[str]) -> str | None:
    """Return the application that *arguments* of `mlflow server` name beside flowgauge.

    click keeps the last --app-name; this is the last one that is not flowgauge's, or the one that
    a short form of flowgauge stands for.
    """
    named = [OURS.get(name, name) for name in _app_names(arguments)]
    return next((name for name in reversed(named) if name), None)


def _app_names(arguments: Sequence[str]) -> Iterator[str]:
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        option, assigned, value = argument.partition("=")
        if option == _OPTION:
            yield value if assigned else following


def measured_app(named: str | None, variable: str | None) -> str | None:
    """Return the application to measure; None is MLflow without a login.

    *named* is the one that the command names, *variable* the value of FLOWGAUGE_MLFLOW_APP.
    Raises `UsageError` if they differ.
    """
    wanted = OURS.get(variable, variable) if variable else None
    if variable and not wanted:
        raise UsageError(
            f"{APP_VARIABLE} is {variable!r}, flowgauge itself: name the MLflow app that flowgauge "
            "is to measure, or leave it out"
        )
    if named and wanted and named != wanted:
        raise UsageError(
            f"{APP_VARIABLE} is {variable!r}, and the command names {named!r}: "
            "flowgauge measures one MLflow app, so leave one of the two out"
        )
    return named or wanted


def load(name: str) -> Any:
    """Return what the entry point *name* of `mlflow.app` names.

    Raises `UsageError` if there is none, or it is flowgauge's own, or cannot be imported.
    """
    entry = _entry_point(name)
    try:
        return entry.load()
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"the MLflow app {name!r} ({entry.value}) cannot be imported, {said}: "
            "repair its installation, or leave it out"
        ) from error


def _entry_point(name: str) -> EntryPoint:
    apps = entry_points(group=_GROUP)
    for app in apps:
        if app.name != name:
            continue
        if app.module.partition(".")[0] == __name__.partition(".")[0]:
            raise UsageError(f"the MLflow app {name!r} is flowgauge itself: name another one")
        return app
    known = ", ".join(sorted({app.name for app in apps} - OURS.keys()))
    raise UsageError(
        f"there is no MLflow app {name!r}: install the package that brings it, or name one of "
        f"those that are here ({known})"
    )


def application(loaded: Any) -> "ASGIApp":
    """Return the ASGI application that *loaded* is, or makes, or wraps as a WSGI application.

    A plain function is a factory, as for MLflow. An ASGI application takes three arguments and a
    WSGI application two.
    """
    is_factory = isinstance(loaded, FunctionType) and not inspect.iscoroutinefunction(loaded)
    app: ASGIApp = loaded() if is_factory else loaded
    try:
        inspect.signature(app).bind("scope", "receive", "send")
    except TypeError:
        return from_wsgi(app)
    return app
