"""The four calls of Grafana's HTTP API that an import needs.

https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/
grafana-client would offer them too, but brings urllib3-future, which installs itself over the
urllib3 of MLflow and Airflow.
"""

from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.http_client import http_client, json_object, why
from flowgauge.light_httpx import httpx
from flowgauge.redact import quote, redact_url, without
from flowgauge.web_address import read_web_address

__all__ = ["GrafanaClient", "GrafanaError"]

Json = dict[str, Any]

_CURES = {
    401: "the token is unknown or has expired: make one for a service account",
    403: "the token may not do this: its service account needs the role Editor",
    404: "there is no such thing in its API: is this Grafana's address, with its path?",
    412: "somebody saved it meanwhile, or another one has its name: look at it, and import again",
}


class GrafanaError(FlowgaugeError):
    """Grafana could not be reached or refused; `status` is its HTTP status, if it answered."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class GrafanaClient:
    """Asks the Grafana at *url* with the *token* of a service account.

    Raises `UsageError` for an address or a token that cannot be one, and for proxies or
    certificates of the environment that cannot be used. Every call raises
    `GrafanaError` when Grafana cannot be reached or refuses.
    """

    def __init__(self, url: str, token: str, *, timeout_seconds: float = 15.0) -> None:
        self._shown = redact_url(url)
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise UsageError("Grafana's token has characters that no token has: give it alone")
        base_url = read_web_address(url, "Grafana's address").rstrip("/")
        # Who answers may repeat what it was sent.
        self._secrets = (token, unquote(urlsplit(base_url).password or ""))
        login = {"Authorization": f"Bearer {token}"}
        self._http = http_client(login, base_url=base_url, timeout=timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def ensure_folder(self, uid: str, title: str) -> None:
        """Create the folder *uid* unless it is there."""
        if self._find(f"/api/folders/{uid}") is None:
            try:
                self._call("POST", "/api/folders", {"uid": uid, "title": title})
            except GrafanaError as error:
                # Somebody else made it in between.
                if error.status not in (httpx.codes.CONFLICT, httpx.codes.PRECONDITION_FAILED):
                    raise

    def dashboard(self, uid: str) -> Json | None:
        """Return the dashboard *uid* with its `meta` and `version`, or None."""
        found = self._find(f"/api/dashboards/uid/{uid}")
        if found is None or (
            isinstance(found.get("meta"), dict)
            and isinstance(found.get("dashboard"), dict)
            and "version" in found["dashboard"]
        ):
            return found
        raise self._not_grafana()

    def last_message(self, uid: str) -> str:
        """Return what was noted when the dashboard *uid* was last saved."""
        answer = self._call("GET", f"/api/dashboards/uid/{uid}/versions?limit=1")
        try:
            return str(answer["versions"][0]["message"])
        except (KeyError, IndexError, TypeError):
            raise self._not_grafana() from None

    def save(self, dashboard: Json, *, folder: str, message: str, overwrite: bool) -> None:
        """Save *dashboard*; without *overwrite* only over the version it says it is."""
        body = {
            "dashboard": dashboard,
            "folderUid": folder,
            "message": message,
            "overwrite": overwrite,
        }
        self._call("POST", "/api/dashboards/db", body)

    def _find(self, path: str) -> Json | None:
        try:
            return self._call("GET", path)
        except GrafanaError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise GrafanaError(f"cannot reach Grafana at {self._shown}: {why(error)}") from None
        if answer.is_success:
            return self._object(answer)
        raise GrafanaError(self._refusal(answer), answer.status_code)

    def _object(self, answer: httpx.Response) -> Json:
        if found := json_object(answer):
            return found
        raise self._not_grafana()

    def _not_grafana(self) -> GrafanaError:
        return GrafanaError(f"{self._shown} answers, but not as Grafana does: check the address")

    def _refusal(self, answer: httpx.Response) -> str:
        message = without(str((json_object(answer) or {}).get("message", "")), self._secrets)
        said = f" ({quote(message)})" if message else ""
        cure = _CURES.get(answer.status_code, "it refuses")
        return f"Grafana at {self._shown} answers {answer.status_code}{said}: {cure}"
