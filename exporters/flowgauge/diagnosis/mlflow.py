"""From the tracking URI to MLflow's metrics page."""

import socket
from contextlib import ExitStack
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from flowgauge.airflow.command import ask_airflow_command
from flowgauge.background import in_background
from flowgauge.errors import FlowgaugeError
from flowgauge.metrics import HTTP_REQUESTS
from flowgauge.redact import redact_url
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import TrackingNotMlflowError
from flowgauge.tracking.uri import TrackingUri, require_tracking_uri

__all__ = ["MlflowPath"]

_SECONDS = 10.0
_PORTS = {"http": 80, "https": 443}


class MlflowPath:
    """The steps to MLflow, in order; each returns what it found or raises `FlowgaugeError`."""

    def __init__(self, given: TrackingUri | None) -> None:
        self._given = given
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._resources.close()

    def find(self) -> str:
        """Find the tracking URI and see that it can be used."""
        uri = self._given or require_tracking_uri(ask_airflow=ask_airflow_command)
        self._client = self._resources.enter_context(
            TrackingClient(uri.value, timeout_seconds=_SECONDS)
        )
        self._host, self._port, self._via = _next_hop(self._client.address)
        return f"{redact_url(uri.value)}, from {uri.source}{self._via}"

    def resolve(self) -> str:
        """Resolve the name of the next host: MLflow's, or the proxy's."""
        looking_up = in_background(
            lambda: socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM), "dns"
        )
        try:
            found = looking_up.result(_SECONDS)
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            raise FlowgaugeError(
                f"{self._host} does not resolve: correct the host in the tracking URI, "
                "or this machine's DNS"
            ) from None
        addresses = sorted({str(entry[4][0]) for entry in found})
        return f"{self._host} is {', '.join(addresses)}"

    def connect(self) -> str:
        """Open a TCP connection to the next host."""
        place = f"{self._host}:{self._port}"
        try:
            socket.create_connection((self._host, self._port), timeout=_SECONDS).close()
        except TimeoutError:
            raise FlowgaugeError(
                f"{place} does not answer: see whether a firewall or network policy is between"
            ) from None
        except OSError as error:
            raise FlowgaugeError(
                f"{place} cannot be reached ({error.strerror}): start the server, "
                "or correct host and port in the tracking URI"
            ) from None
        return f"{place} accepts connections"

    def log_in(self) -> str:
        """Make a real API call."""
        self._client.call("GET", "experiments/search", {"max_results": 1})
        return "MLflow answers API calls"

    def version(self) -> str:
        """Ask for MLflow's version."""
        return f"MLflow {self._client.text('/version').strip()}"

    def server_app(self) -> str:
        """See whether the metrics page is the one of flowgauge's server app."""
        advice = "start it with `mlflow server --app-name flowgauge`"
        try:
            page = self._client.text("/metrics")
        except TrackingNotMlflowError:
            raise FlowgaugeError(f"MLflow has no metrics page: {advice}") from None
        if f"# TYPE {HTTP_REQUESTS.name} " not in page:
            raise FlowgaugeError(f"MLflow's metrics page is not flowgauge's: {advice}")
        return "MLflow's metrics page is flowgauge's"


def _next_hop(address: str) -> tuple[str, int, str]:
    """Return host and port of the next host, and words about it if it is a proxy."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(host):
        through = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host, scheme = through.hostname or "", through.scheme
        return host, through.port or _PORTS.get(scheme, 80), f", through the proxy {host}"
    return host, parts.port or _PORTS[parts.scheme], ""
