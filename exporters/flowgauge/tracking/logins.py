"""Logins that each request works out anew: a token from a file, and plugins of MLflow's client."""

import importlib
import warnings
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from flowgauge.errors import UsageError
from flowgauge.light_httpx import httpx
from flowgauge.redact import quote
from flowgauge.token_file import TokenFile
from flowgauge.tracking.errors import TrackingUnauthorizedError

__all__ = ["MLFLOW_TOKEN_FILE", "SERVICE_ACCOUNT", "plugin_login", "plugin_named", "token_login"]

MLFLOW_TOKEN_FILE = "FLOWGAUGE_MLFLOW_TOKEN_FILE"  # noqa: S105 - where the token is
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts `token` and `namespace` into a pod, and renews the former."""

_PLUGIN = "MLFLOW_TRACKING_AUTH"
_SIGV4 = "MLFLOW_TRACKING_AWS_SIGV4"
_OFF = frozenset({"", "false", "0"})
_KUBERNETES = frozenset({"kubernetes", "kubernetes-namespaced"})


def plugin_named(environ: Mapping[str, str]) -> str | None:
    """Return the variable that asks for a plugin of MLflow's own client, None if there is none."""
    return next((name for name in (_PLUGIN, _SIGV4) if _is_on(environ, name)), None)


def token_login(environ: Mapping[str, str]) -> httpx.Auth | None:
    """Return the login by the token file that FLOWGAUGE_MLFLOW_TOKEN_FILE names, if it does."""
    named = environ.get(MLFLOW_TOKEN_FILE)
    return _TokenLogin(TokenFile(Path(named), MLFLOW_TOKEN_FILE)) if named else None


def plugin_login(
    environ: Mapping[str, str], account: Path = SERVICE_ACCOUNT
) -> tuple[httpx.Auth, Mapping[str, str]]:
    """Return the login, and headers, of the plugin that *environ* asks MLflow's client to use.

    In a pod the tokens of Kubernetes need no plugin: *account* holds them. All others are of
    MLflow, which has to be installed. Raises `UsageError` for one that cannot be used.
    """
    asked = environ.get(_PLUGIN, "")
    if asked in _KUBERNETES and (account / "token").exists():
        namespaced = asked == "kubernetes-namespaced"
        headers = {"X-MLFLOW-WORKSPACE": _namespace(account)} if namespaced else {}
        return _TokenLogin(TokenFile(account / "token", _PLUGIN)), headers
    name = plugin_named(environ)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            sign = _sigv4() if name == _SIGV4 else _fetch(asked)
        # MLflow warns of an unknown one, last, and gives None.
        missing = "" if sign else str(said[-1].message)
    except Exception as error:  # noqa: BLE001 - plugins fail as they like
        sign, missing = None, str(error)
    if sign is None:
        raise UsageError(
            f"{name} asks for a plugin of MLflow's own client, which cannot be used here "
            f"({quote(missing, 200)}): install it beside flowgauge, or unset {name} and use "
            f"MLFLOW_TRACKING_USERNAME and _PASSWORD, MLFLOW_TRACKING_TOKEN or {MLFLOW_TOKEN_FILE}"
        )
    return _PluginLogin(sign), {}


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() not in _OFF


def _namespace(account: Path) -> str:
    try:
        return (account / "namespace").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            f"{_PLUGIN} is kubernetes-namespaced, and {account / 'namespace'} cannot be read: set "
            "it to kubernetes and MLFLOW_WORKSPACE to the workspace"
        ) from None


def _fetch(plugin: str) -> Callable[[Any], Any] | None:
    # As mlflow/utils/rest_utils.py does. Its import takes seconds, and mostly it is not there.
    registry = importlib.import_module("mlflow.tracking.request_auth.registry")
    sign: Callable[[Any], Any] | None = registry.fetch_auth(plugin)
    return sign


def _sigv4() -> Callable[[Any], Any]:
    sign: Callable[[Any], Any] = importlib.import_module("requests_auth_aws_sigv4").AWSSigV4(
        "execute-api"
    )
    return sign


class _TokenLogin(httpx.Auth):
    def __init__(self, file: TokenFile) -> None:
        self._file = file

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        try:
            # What is not ASCII httpx sends as UTF-8, and nobody accepts.
            request.headers["Authorization"] = (
                f"Bearer {self._file.read().decode(errors='replace')}"
            )
        except UsageError as error:
            raise TrackingUnauthorizedError(f"MLflow cannot be asked: {error}") from None
        yield request


class _PluginLogin(httpx.Auth):
    """Has *sign*, which is made for the package requests, add its headers to a request of httpx."""

    requires_request_body = True

    def __init__(self, sign: Callable[[Any], Any]) -> None:
        self._sign = sign

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        requests = importlib.import_module("requests")  # MLflow's client rests on it
        prepared = requests.Request(
            request.method,
            str(request.url),
            headers=dict(request.headers),
            data=request.content,
        ).prepare()
        try:
            signed = self._sign(prepared)
        except Exception as error:  # noqa: BLE001 - plugins fail as they like
            raise TrackingUnauthorizedError(
                f"MLflow cannot be asked: the login's plugin failed ({quote(str(error), 200)}): "
                f"see its documentation, or unset {_PLUGIN}"
            ) from None
        request.headers.update(signed.headers)
        yield request
