"""Asking a web server, and telling what is broken from what cannot be reached from here."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from flowgauge.errors import FlowgaugeError
from flowgauge.http_client import causes, http_client, why
from flowgauge.light_httpx import httpx
from flowgauge.redact import redact_url
from flowgauge.web_address import read_web_address

__all__ = ["PageError", "RefusedError", "Site"]

_SECONDS = 15.0


class RefusedError(FlowgaugeError):
    """Nothing listens at the address."""


class PageError(FlowgaugeError):
    """The server answered something else than the page; `status` is the HTTP status."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Site:
    """A web server: what to call it, its URL, the option that gives it, and two cures.

    `cure_down` is for nothing listening there, `cure_far` for no way to it. One that is `near`, on
    this machine, is asked past all proxies.
    """

    name: str
    url: str
    option: str
    cure_down: str
    cure_far: str
    near: bool = False

    @property
    def address(self) -> str:
        """The URL, fit for people."""
        return redact_url(self.url)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        """Return the answer to a GET of *path*; raise `FlowgaugeError` for all but a success."""
        called = f"{self.name} at {self.address}"
        url = read_web_address(self.url, self.option)
        try:
            with http_client(timeout=_SECONDS, trust_env=not self.near) as http:
                answer = http.get(f"{url.rstrip('/')}{path}", params=query)
        except httpx.HTTPError as error:
            raise self._no_answer(called, error) from None
        if not answer.is_success:
            raise PageError(f"{called} {self._refusal(answer)}", answer.status_code)
        return answer

    def _no_answer(self, called: str, error: httpx.HTTPError) -> FlowgaugeError:
        kind, said = self._why_no_answer(error)
        return kind(f"{called} {said}")

    def _why_no_answer(self, error: httpx.HTTPError) -> tuple[type[FlowgaugeError], str]:
        told = why(error)
        bottom = next((each for each in causes(error) if isinstance(each, OSError)), None)
        match error, bottom:
            case _, ConnectionRefusedError():
                said = f"refuses the connection: {self.cure_down}, or {self.cure_far}"
                return RefusedError, said
            case _, ssl.SSLCertVerificationError():
                said = (
                    f"shows a certificate that is not trusted ({bottom.verify_message}): "
                    "set SSL_CERT_FILE to the CA's certificate"
                )
            case _, ssl.SSLError():
                said = "does not speak TLS: give http://HOST:PORT"
            case httpx.ProxyError(), _:
                said = (
                    f"cannot be reached through the proxy ({told}): correct HTTP_PROXY or NO_PROXY"
                )
            case ((httpx.ConnectError() | httpx.ConnectTimeout()), _):
                said = (
                    f"cannot be reached from here ({told}): correct {self.option}, "
                    f"or {self.cure_far}"
                )
            case httpx.ReadTimeout(), _:
                said = f"did not answer within {_SECONDS:g} s: see its log"
            case _ if self.url.strip().startswith("http:"):
                said = f"broke off without an answer ({told}): see its log, or give https://"
            case _:
                said = f"broke off without an answer ({told}): see its log"
        return FlowgaugeError, said

    def _refusal(self, answer: httpx.Response) -> str:
        status = answer.status_code
        if status == httpx.codes.UNAUTHORIZED and not answer.request.headers.get("authorization"):
            return (
                f"wants a login (401): put it into {self.option}, https://USER:PASSWORD@HOST:PORT"
            )
        if status == httpx.codes.UNAUTHORIZED:
            return f"does not accept the login (401): correct it in {self.option}"
        if status == httpx.codes.FORBIDDEN:
            return f"forbids it (403): give another login in {self.option}"
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return f"answers {status}: see its log, or that of a proxy on the way"
        return f"answers {status}, so it is something else: correct {self.option}"
