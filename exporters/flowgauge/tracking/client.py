"""MLflow's REST API over httpx, without `import mlflow`, which costs a task seconds and 55 MB.

API: https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

import os
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from flowgauge.background import in_background
from flowgauge.http_client import http_client, json_object, next_hop
from flowgauge.light_httpx import httpx
from flowgauge.tracking import failures
from flowgauge.tracking.settings import WORKSPACE_HEADER, read_settings, ssl_context

__all__ = ["WORKSPACE_HEADER", "TrackingClient"]

_API = "/api/{}/mlflow/"


class TrackingClient:
    """Asks one MLflow server, once a call: retries are the caller's, who owns the time budget.

    *uri* is http(s) and may carry a path (`--static-prefix`) and a login. Login, certificates and
    workspace come from *environ* as MLflow's own client takes them: MLFLOW_TRACKING_USERNAME and
    _PASSWORD (also from `~/.mlflow/credentials`), _TOKEN, _AUTH and _AWS_SIGV4 where MLflow is
    installed with the plugin, _INSECURE_TLS, _SERVER_CERT_PATH, _CLIENT_CERT_PATH,
    MLFLOW_WORKSPACE. FLOWGAUGE_MLFLOW_TOKEN_FILE wins over what these say of a user or a token, a
    login in *uri* over that, a plugin over all. *headers* are sent with every call.

    Raises `UsageError` for settings and proxies it cannot use; calls raise `TrackingError`. May be
    shared by threads, but a call that overruns its time ends the others too.
    """

    def __init__(
        self,
        uri: str,
        *,
        timeout_seconds: float = 10.0,
        environ: Mapping[str, str] = os.environ,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        settings = read_settings(uri, environ)
        self.address = settings.base_url
        self.workspace = settings.workspace
        """The workspace that is asked, None if the settings name none."""
        self._timeout_seconds = timeout_seconds
        # Reading the certificates takes 10 to 20 ms: not for plain HTTP, and not on every connect.
        tls = ssl_context(settings) if self.address.startswith("https:") else False
        self._connect: Callable[[], httpx.Client] = lambda: http_client(
            {**settings.headers, **(headers or {})},
            base_url=settings.base_url,
            auth=settings.login,
            verify=tls,
            event_hooks={"response": [self._look_at_certificate]},
        )
        self.certificate_expires: float | None = None
        """When the certificate that was shown last expires, in Unix time.

        None without TLS, and where the certificate is not checked (MLFLOW_TRACKING_INSECURE_TLS).
        """
        self._http = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def next_hop(self) -> tuple[str, int]:
        """Return host and port of what is connected to first: MLflow, or a proxy on the way."""
        with self._connect() as http:
            return next_hop(http, self.address)

    def call(
        self,
        method: str,
        endpoint: str,
        payload: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        api: str = "2.0",
    ) -> dict[str, Any]:
        """Call *endpoint*, such as `runs/create`, and return the JSON object it answers.

        *api* is the version of MLflow's API that has it. *headers* are sent beside those of the
        settings. A GET sends *payload* as query parameters, other methods as JSON.
        *timeout_seconds* bounds the whole call, name resolution and the last byte of the answer
        included. Raises `ValueError` for a *payload* that JSON cannot hold, such as NaN.
        """
        body = {"params": payload} if method == "GET" else {"json": payload or {}}
        response = self._send(
            method, _API.format(api) + endpoint, timeout_seconds, headers=headers, **body
        )
        answer = json_object(response)
        if answer is None:
            raise failures.not_mlflow(self.address, response)
        return answer

    def upload(
        self,
        path: str,
        content: bytes,
        query: Mapping[str, str],
        *,
        timeout_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Post *content* to *path* as it is, with *query* as parameters; otherwise as `call`."""
        kind = {"Content-Type": "application/octet-stream"}
        self._send(
            "POST",
            path,
            timeout_seconds,
            content=content,
            params=query,
            headers={**(headers or {}), **kind},
        )

    def text(self, path: str, *, timeout_seconds: float | None = None) -> str:
        """Return what a GET of *path*, such as `/version`, answers, without what it may repeat."""
        response = self._send("GET", path, timeout_seconds)
        return failures.without_login(response.text, response.request)

    def _send(
        self, method: str, path: str, timeout_seconds: float | None, **options: Any
    ) -> httpx.Response:
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        http = self._http
        # httpx has a time-out a phase, and name resolution has none: only waiting beside bounds
        # the call.
        sending = in_background(
            lambda: http.request(method, path, timeout=max(seconds, 0.001), **options),
            "mlflow-call",
        )
        try:
            response = sending.result(seconds)
        except TimeoutError:
            self._abandon(http)
            raise failures.timed_out(self.address, seconds) from None
        except httpx.TimeoutException:
            raise failures.timed_out(self.address, seconds) from None
        except httpx.RequestError as error:
            raise failures.unanswered(self.address, error) from None
        if failure := failures.refusal(self.address, response):
            raise failure
        return response

    def _look_at_certificate(self, answer: httpx.Response) -> None:
        # As long as the answer is being read: afterwards the connection may be closed.
        tls = answer.extensions["network_stream"].get_extra_info("ssl_object")
        shown = tls.getpeercert() if tls else None
        if shown:
            self.certificate_expires = ssl.cert_time_to_seconds(shown["notAfter"])

    def _abandon(self, http: httpx.Client) -> None:
        # A closed socket ends the thread that still reads from it.
        if self._http is http:
            self._http = self._connect()
        http.close()
