"""Which MLflow application is measured, and where it comes from.

MLflow has one slot for an application, `--app-name`, and logins sit in it. So flowgauge takes the
slot and measures the application that would be there without it.
"""

import inspect
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from itertools import pairwise
from types import FunctionType
from typing import TYPE_CHECKING, Any

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.redact import quote
from flowgauge.server.mlflow_host import BASIC_AUTH, from_wsgi

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = [
    "APP_VARIABLE",
    "OURS",
    "application",
    "check_arguments",
    "load",
    "measured_app",
    "named_app",
]

APP_VARIABLE = "FLOWGAUGE_MLFLOW_APP"

_GROUP = "mlflow.app"
_OPTION = "--app-name"
_ASGI = ("scope", "receive", "send")
_WSGI = ("environ", "start_response")
OURS = {"flowgauge": None, "flowgauge-basic-auth": BASIC_AUTH}
"""The names of our own applications, and the application that each stands for."""


def named_app(arguments: Sequence[str]) -> str | None:
    """Return the application that *arguments* of `mlflow server` name beside flowgauge.

    click keeps the last --app-name; this is the last one that is not flowgauge's, or the one that
    a short form of flowgauge stands for.
    """
    named = [OURS.get(name, name) for name in _app_names(arguments)]
    return next((name for name in reversed(named) if name), None)


def check_arguments(arguments: Sequence[str], kept: str) -> None:
    """Return if *arguments* are those of which click *kept* the last --app-name.

    Raises `UsageError` if click was given others, by a program that calls MLflow's command: an app
    named there would be lost, and with it a login.
    """
    if list(_app_names(arguments))[-1:] != [kept]:
        raise UsageError(
            "this `mlflow server` was not started as a command of its own, so flowgauge cannot see "
            f"whether its arguments name a login: start it as one, or set {APP_VARIABLE} to the "
            "MLflow app that is to be measured"
        )


def _app_names(arguments: Sequence[str]) -> Iterator[str]:
    for argument, following in pairwise([*arguments, ""]):
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
            f"{APP_VARIABLE} is {quote(variable)!r}, flowgauge itself: name the MLflow app that "
            "flowgauge is to measure, or leave it out"
        )
    if named and wanted and named != wanted:
        raise UsageError(
            f"{APP_VARIABLE} is {quote(wanted)!r}, and the command names {quote(named)!r}: "
            "flowgauge measures one MLflow app, so leave one of the two out"
        )
    return named or wanted


def load(name: str) -> Any:
    """Return what the entry point *name* of `mlflow.app` names.

    Raises `UsageError` if there is none, or it is flowgauge's own, or something that it imports is
    missing, and `FlowgaugeError` if its import fails otherwise.
    """
    entry = _entry_point(name)
    try:
        return entry.load()
    except Exception as error:
        # What is missing stays missing; the rest may pass, such as the absence of its database.
        kind = UsageError if isinstance(error, ImportError) else FlowgaugeError
        said = quote(f"{type(error).__name__}: {error}")
        raise kind(
            f"the MLflow app {quote(name)!r} ({entry.value}) cannot be imported, {said}: "
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
        f"there is no MLflow app {quote(name)!r}: install the package that brings it, or name one "
        f"of those that are here ({known})"
    )


def application(loaded: Any) -> "ASGIApp":
    """Return the ASGI application that *loaded* is, or makes, or wraps as a WSGI application.

    A plain function is a factory, as for MLflow, and so is whatever takes no arguments, as for
    uvicorn. An ASGI application takes three and a WSGI application two. What a factory raises is
    its own. Raises `UsageError` for what is none of these.
    """
    is_function = isinstance(loaded, FunctionType) and not inspect.iscoroutinefunction(loaded)
    app = loaded() if is_function or (not _is_app(loaded) and _takes(loaded)) else loaded
    if _takes(app, *_ASGI):
        asgi_app: ASGIApp = app
        return asgi_app
    if _takes(app, *_WSGI):
        return from_wsgi(app)
    raise UsageError(
        f"the MLflow app to measure is, or makes, a {type(app).__name__!r}, which is neither an "
        "ASGI nor a WSGI application: name another app, or correct the package that brings it"
    )


def _is_app(candidate: Any) -> bool:
    return _takes(candidate, *_ASGI) or _takes(candidate, *_WSGI)


def _takes(candidate: Any, *arguments: str) -> bool:
    try:
        inspect.signature(candidate).bind(*arguments)
    except (TypeError, ValueError):
        return False
    return True
