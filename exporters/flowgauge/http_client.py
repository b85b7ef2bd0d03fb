"""HTTP with our name on every request, through the proxies that the environment names.

What answers may be anybody's, so an answer is read up to a limit.
"""

# What the first look-up of a name would load, where another thread may fork.
import encodings.idna  # noqa: F401
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import Any
from urllib.request import getproxies

from flowgauge import __version__
from flowgauge.errors import UsageError
from flowgauge.light_httpx import httpx
from flowgauge.loading import loading
from flowgauge.redact import quote
from flowgauge.web_address import read_web_address

__all__ = [
    "LONGEST_ANSWER",
    "TooLongError",
    "causes",
    "http_client",
    "json_object",
    "next_hop",
    "trusting_context",
    "why",
]

LONGEST_ANSWER = 32 * 2**20
"""In bytes, once unpacked."""

# The packings that grow a thousandfold at most; others are asked for where their packages happen to
# be installed.
_PACKINGS = ("gzip", "deflate")

_PROXIES = ("http", "https", "socks5", "socks5h")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_HEADERS = {"User-Agent": f"flowgauge/{__version__}", "Accept-Encoding": ", ".join(_PACKINGS)}


class TooLongError(httpx.RequestError):
    """An answer is longer than `LONGEST_ANSWER`, or packed so that nobody knows; it is not read."""


class _Client(httpx.Client):
    """Reads an answer up to `LONGEST_ANSWER`, else raises `TooLongError`."""

    def send(
        self, request: httpx.Request, *, stream: bool = False, **options: Any
    ) -> httpx.Response:
        """See `httpx.Client.send`."""
        answer = super().send(request, stream=True, **options)
        if stream:
            return answer
        with closing(answer):
            content = _read(answer)
        # httpx has no other way to say that what was streamed is all there is.
        headers = [each for each in answer.headers.raw if each[0].lower() not in _OF_THE_WIRE]
        return httpx.Response(
            answer.status_code,
            headers=headers,
            content=content,
            request=answer.request,
            extensions=answer.extensions,
            history=answer.history,
        )


_OF_THE_WIRE = (b"content-encoding", b"content-length", b"transfer-encoding")


def _read(answer: httpx.Response) -> bytes:
    packing = answer.headers.get("content-encoding", "")
    if packing and packing.strip().lower() not in {*_PACKINGS, "identity"}:
        raise TooLongError(f"it answers packed by {quote(packing, 30)}, which nobody asked for")
    content = bytearray()
    for part in answer.iter_bytes():
        content += part
        if len(content) > LONGEST_ANSWER:
            raise TooLongError(f"its answer is longer than {LONGEST_ANSWER // 2**20} MiB")
    return bytes(content)


def http_client(headers: Mapping[str, str] | None = None, **options: Any) -> httpx.Client:
    """Return a client with httpx's *options*, which obeys HTTP_, HTTPS_, ALL_ and NO_PROXY.

    Its calls raise httpx's errors, `TooLongError` among them.

    Raises `UsageError` if one of these cannot be used, or SSL_CERT_FILE or SSL_CERT_DIR.
    """
    if options.get("trust_env", True) and (bad := _bad_proxies()):
        raise UsageError(bad)
    try:
        # The first one loads a part of httpx.
        with loading():
            return _Client(headers={**_HEADERS, **(headers or {})}, **options)
    except ImportError:
        raise UsageError(
            "a proxy is a SOCKS proxy, for which httpx wants one more package: "
            "pip install 'httpx[socks]', or unset ALL_PROXY, HTTP_PROXY and HTTPS_PROXY"
        ) from None
    except OSError as error:
        raise _no_certificates(error) from None
    except (ValueError, httpx.InvalidURL):
        # httpx's own words repeat what it took for a port, which may be half of a password.
        raise UsageError(
            "NO_PROXY cannot be used: give names of hosts with commas between"
        ) from None


def _bad_proxies() -> str:
    """Return what is wrong with the proxies that the environment names; empty if nothing is."""
    named = getproxies()
    kinds = [kind for kind in ("http", "https", "all") if not _is_proxy(named.get(kind, ""))]
    bad = [f"{kind.upper()}_PROXY" for kind in kinds]
    if not bad:
        return ""
    return (
        f"{' and '.join(bad)} cannot be used: give http://HOST:PORT, and in a password "
        "write %2F for a slash, %40 for an @ and so on"
    )


def _is_proxy(url: str) -> bool:
    if not url:  # as if it were not set
        return True
    address = url if "://" in url else f"http://{url}"
    try:
        httpx.Proxy(read_web_address(address, "it", _PROXIES))
    except (UsageError, ValueError, httpx.InvalidURL):
        return False
    return True


def trusting_context() -> ssl.SSLContext:
    """Return the TLS context that httpx makes, which obeys SSL_CERT_FILE and SSL_CERT_DIR.

    Raises `UsageError` if one of these cannot be used.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise _no_certificates(error) from None


def _no_certificates(error: OSError) -> UsageError:
    names = (f"{name}={os.environ[name]}" for name in _CERTIFICATES if os.environ.get(name))
    reason = getattr(error, "reason", None) or error.strerror or "not PEM"
    return UsageError(
        f"the certificates of {' and '.join(names) or 'certifi'} cannot be loaded ({reason}): "
        "SSL_CERT_FILE must name a PEM file, SSL_CERT_DIR a folder of such"
    )


def next_hop(http: httpx.Client, url: str) -> tuple[str, int]:
    """Return the host and port that *http*, not yet connected, connects to for *url*.

    They are *url*'s own, or a proxy's. httpx decides it: a request is stopped where it connects.
    https://www.python-httpx.org/advanced/extensions/#trace
    """
    hops: list[tuple[str, int]] = []

    def stop(event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".connect_tcp.started"):
            hops.append((info["host"], info["port"]))
            raise _Stopped

    with suppress(_Stopped):
        http.get(url, extensions={"trace": stop})
    return hops[0]


def json_object(answer: httpx.Response) -> dict[str, Any] | None:
    """Return the JSON object in *answer*, None if it holds none."""
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class _Stopped(Exception):  # noqa: N818 - nothing went wrong
    pass


def why(error: httpx.HTTPError) -> str:
    """Return what may be repeated of *error*: httpx names half of an address it cannot read."""
    if any(isinstance(cause, httpx.InvalidURL) for cause in causes(error)):
        return "it redirects to what is no address"
    return quote(str(error)) or type(error).__name__


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and what led to it: httpx keeps what the system said at the bottom."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
