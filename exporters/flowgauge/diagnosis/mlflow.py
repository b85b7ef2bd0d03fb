"""From the tracking URI to MLflow's metrics page."""

import socket
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from flowgauge.address import join_address
from flowgauge.airflow.command import ask_airflow_command
from flowgauge.background import in_background
from flowgauge.compatibility import remark
from flowgauge.diagnosis.step import NotSeen
from flowgauge.errors import FlowgaugeError
from flowgauge.metrics import HTTP_REQUESTS
from flowgauge.redact import redact_url
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import (
    TrackingNotMlflowError,
    TrackingRejectedError,
    TrackingUnauthorizedError,
)
from flowgauge.tracking.queries import Queries
from flowgauge.tracking.uri import TrackingUri, require_tracking_uri

__all__ = ["MlflowPath"]

_SECONDS = 10.0
# What MLflow's --expose-prometheus counts.
_STOCK_HTTP_REQUESTS = "mlflow_http_request_total"
_PORTS = {"http": 80, "https": 443}
# The server app names it to those whom it refuses because it knows no login to let them in by.
_TOKEN_VARIABLE = "FLOWGAUGE_METRICS_TOKEN_FILE"  # noqa: S105 - where the token is


class MlflowPath:
    """The steps to MLflow, in order; each returns what it found, or raises as `chain` wants."""

    def __init__(self, given: TrackingUri | None) -> None:
        self._given = given
        self._version = ""
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
        """Find the tracking URI, see that it can be used, and who is connected to first for it."""
        uri = self._given or require_tracking_uri(ask_airflow=ask_airflow_command)
        self._client = self._resources.enter_context(
            TrackingClient(uri.value, timeout_seconds=_SECONDS, environ=uri.environ())
        )
        self._mlflow = Queries(self._client)
        self._host, self._port = self._client.next_hop()
        parts = urlsplit(self._client.address)
        own = parts.hostname, parts.port or _PORTS[parts.scheme]
        self._proxied = (self._host, self._port) != own
        via = f", through the proxy {self._place}" if self._proxied else ""
        return f"{redact_url(uri.value)}, from {uri.source}{via}"

    def resolve(self) -> str:
        """Resolve the name of the next host: MLflow's, or the proxy's."""
        looking_up = in_background(
            lambda: socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM), "dns"
        )
        try:
            found = looking_up.result(_SECONDS)
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            raise FlowgaugeError(
                f"{self._host} does not resolve: correct the host in {self._named_in}, "
                "or this machine's DNS"
            ) from None
        addresses = sorted({str(entry[4][0]) for entry in found})
        return f"{self._host} is {', '.join(addresses)}"

    def connect(self) -> str:
        """Open a TCP connection to the next host."""
        place = self._place
        try:
            socket.create_connection((self._host, self._port), timeout=_SECONDS).close()
        except TimeoutError:
            raise FlowgaugeError(
                f"{place} cannot be reached from here, it does not answer: see whether a firewall "
                "or network policy is between"
            ) from None
        except OSError as error:
            raise FlowgaugeError(
                f"{place} cannot be reached ({error.strerror}): start the server, "
                f"or correct host and port in {self._named_in}"
            ) from None
        return f"{place} accepts connections"

    @property
    def _place(self) -> str:
        return join_address(self._host, self._port)

    @property
    def _named_in(self) -> str:
        return "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY" if self._proxied else "the tracking URI"

    def ask(self) -> str:
        """See that what answers API calls is MLflow, whether it likes the login or not."""
        with suppress(TrackingUnauthorizedError):
            if not self._mlflow.probe():
                self._ask_for_what_is_not_there()
        return f"MLflow's API answers at {self._client.address}"

    def _ask_for_what_is_not_there(self) -> None:
        """See that MLflow answers, not what says the same to every question."""
        with suppress(TrackingRejectedError):
            self._mlflow.experiment_id("flowgauge check: nothing is called so")

    def log_in(self) -> str:
        """See that an API call is allowed."""
        self._mlflow.probe()
        return "MLflow allows API calls"

    def version(self) -> str:
        """Ask for MLflow's version, which a managed MLflow may keep to itself."""
        try:
            self._version = self._mlflow.version()
        except (TrackingNotMlflowError, TrackingRejectedError, TrackingUnauthorizedError) as why:
            raise NotSeen(f"MLflow does not tell its version ({why})") from None
        return f"MLflow {self._version}{remark('mlflow', self._version)}"

    def server_app(self) -> str:
        """See whether the metrics page is the one of flowgauge's server app.

        MLflow 2, in which it cannot run, has a page of its own that the rules read too.
        """
        is_old = self._version.startswith("2.")
        option = "--expose-prometheus FOLDER" if is_old else "--app-name flowgauge"
        advice = (
            f"start it with `mlflow server {option}`, or leave this out with --skip server-app "
            "if it is managed, or has its metrics on a port of their own"
        )
        try:
            page = self._client.text("/metrics")
        except (TrackingNotMlflowError, TrackingRejectedError):
            raise FlowgaugeError(f"MLflow has no metrics page here: {advice}") from None
        except TrackingUnauthorizedError as refusal:
            if _TOKEN_VARIABLE in str(refusal):
                raise FlowgaugeError(
                    "MLflow's metrics page is refused to everybody, Prometheus too: set "
                    f"{_TOKEN_VARIABLE} or FLOWGAUGE_METRICS_ADDRESS where MLflow runs"
                ) from None
            return (
                "MLflow's metrics page is for its admins, as it should be: "
                "Prometheus needs a login, tasks do not"
            )
        if f"# TYPE {HTTP_REQUESTS.name} " in page:
            return "MLflow's metrics page is flowgauge's"
        if is_old and f"# TYPE {_STOCK_HTTP_REQUESTS} " in page:
            return "MLflow's metrics page is its own, which the rules read too"
        raise FlowgaugeError(f"MLflow's metrics page is not flowgauge's: {advice}")
