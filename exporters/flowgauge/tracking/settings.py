"""What MLflow's own client takes from the environment: login, certificates, workspace.

Follows `mlflow/utils/credentials.py` and `mlflow/utils/rest_utils.py` of MLflow 3.17, and of
`requests`, which that client uses, the variables that name a bundle of certificates.
"""

import base64
import configparser
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from flowgauge.errors import UsageError
from flowgauge.http_client import trusting_context
from flowgauge.light_httpx import httpx
from flowgauge.tracking.headers import read_headers
from flowgauge.tracking.logins import plugin_login, plugin_named, token_login
from flowgauge.web_address import read_web_address

__all__ = ["WORKSPACE_HEADER", "Settings", "read_settings", "speaks_rest", "ssl_context"]

WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE"

_CERTIFICATES = ("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OFF = frozenset({"", "false", "0"})
_ON = frozenset({"true", "1"})


class Settings(NamedTuple):
    """How to reach one MLflow; `base_url` carries neither a login nor a trailing slash."""

    base_url: str
    headers: Mapping[str, str]
    login: httpx.Auth | None
    certificates: str | None
    client_certificate: str | None
    insecure: bool

    def __repr__(self) -> str:
        # The rest holds the login.
        return f"Settings({self.base_url!r})"

    @property
    def workspace(self) -> str | None:
        """The workspace that the headers name, None if they name none."""
        named = {name.lower(): value for name, value in self.headers.items()}
        return named.get(WORKSPACE_HEADER.lower()) or None


def speaks_rest(uri: str, environ: Mapping[str, str]) -> bool:
    """Return whether *uri* is reached by plain HTTP, without MLflow's stores and plugins."""
    scheme = uri.partition("://")[0].lower()
    return scheme in {"http", "https"} and not plugin_named(environ)


def read_settings(uri: str, environ: Mapping[str, str]) -> Settings:
    """Read how to reach *uri* from it and *environ*.

    A login that each request works out anew is `login`; all others are in `headers`.

    Raises `UsageError` for a URI that is not http(s), a plugin of MLflow's that cannot be used, and
    settings that contradict each other.
    """
    base_url, login = _split_login(uri)
    insecure = _flag(environ, "MLFLOW_TRACKING_INSECURE_TLS")
    if insecure and environ.get(_CERTIFICATES[0]):
        raise UsageError(
            "MLFLOW_TRACKING_INSECURE_TLS and MLFLOW_TRACKING_SERVER_CERT_PATH contradict each "
            "other: unset one of them"
        )
    headers = {
        "Authorization": login or _login(environ),
        WORKSPACE_HEADER: _header_value(environ, "MLFLOW_WORKSPACE"),
    }
    given = read_headers(environ)
    named = {name.lower() for name in given}
    headers = {name: value for name, value in headers.items() if name.lower() not in named}
    worked_out = None if login or "authorization" in named else token_login(environ)
    if plugin_named(environ):
        worked_out, more = plugin_login(environ)
        headers |= more
    return Settings(
        base_url=base_url,
        headers={name: value for name, value in {**headers, **given}.items() if value},
        login=worked_out,
        certificates=next((environ[name] for name in _CERTIFICATES if environ.get(name)), None),
        client_certificate=environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None,
        insecure=insecure,
    )


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """Return the TLS context of *settings*; raise `UsageError` naming a file it cannot load."""
    if settings.insecure:
        context = httpx.create_ssl_context(verify=False)
    elif settings.certificates:
        context = _trusting(settings.certificates)
    else:
        context = trusting_context()
    if settings.client_certificate:
        _load_client_certificate(context, settings.client_certificate)
    return context


def _split_login(uri: str) -> tuple[str, str]:
    parts = urlsplit(read_web_address(uri, "the tracking URI"))
    if parts.query or parts.fragment:
        raise UsageError(
            "the tracking URI has a query or a fragment, which no MLflow server's address has: "
            "give http://HOST:PORT or https://HOST"
        )
    login, _, host = parts.netloc.rpartition("@")
    base_url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    if not login:
        return base_url, ""
    user, _, password = login.partition(":")
    return base_url, _basic(unquote(user), unquote(password))


def _flag(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").lower()
    if value not in _OFF | _ON:
        raise UsageError(f"{name} is not clear: set it to true or false")
    return value in _ON


def _login(environ: Mapping[str, str]) -> str:
    saved = _saved_login(environ)
    user = environ.get("MLFLOW_TRACKING_USERNAME") or saved.get("mlflow_tracking_username")
    password = environ.get("MLFLOW_TRACKING_PASSWORD") or saved.get("mlflow_tracking_password")
    if user and password:
        return _basic(user, password)
    token = _header_value(environ, "MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token}" if token else ""


def _header_value(environ: Mapping[str, str], name: str) -> str:
    # A secret read from a file often ends in a line break, with which no header may be sent.
    value = environ.get(name, "").strip()
    if not (value.isascii() and value.isprintable()):
        raise UsageError(f"{name} holds characters that HTTP cannot send: set it again")
    return value


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _saved_login(environ: Mapping[str, str]) -> Mapping[str, str]:
    home = environ.get("HOME")
    if not home:
        return {}
    file = Path(home, ".mlflow", "credentials")
    parser = configparser.ConfigParser()
    try:
        parser.read(file)
        return dict(parser["mlflow"]) if "mlflow" in parser else {}
    except (configparser.Error, OSError, UnicodeDecodeError):
        raise UsageError(
            f"{file} cannot be read: it must be an INI file with a section [mlflow] and the keys "
            "mlflow_tracking_username and mlflow_tracking_password, with %% for %"
        ) from None


def _trusting(path: str) -> ssl.SSLContext:
    try:
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"the certificates in {path} cannot be loaded ({_reason(error)}): "
            "MLFLOW_TRACKING_SERVER_CERT_PATH must name a PEM file or folder"
        ) from None


def _load_client_certificate(context: ssl.SSLContext, path: str) -> None:
    try:
        # Without a password OpenSSL would ask whoever is at the terminal.
        context.load_cert_chain(path, password="")
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"the client certificate in {path} cannot be loaded ({_reason(error)}): "
            "MLFLOW_TRACKING_CLIENT_CERT_PATH must name a PEM file with certificate and key"
        ) from None


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or "not PEM"
