"""HTTP with our name on every request, through the proxies that the environment names."""

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import httpx

from flowgauge import __version__
from flowgauge.errors import UsageError
from flowgauge.redact import quote

__all__ = ["causes", "http_client", "next_hop", "trusting_context"]

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_USER_AGENT = f"flowgauge/{__version__}"


def http_client(headers: Mapping[str, str] | None = None, **options: Any) -> httpx.Client:
    """Return a client with httpx's *options*, which obeys HTTP_, HTTPS_, ALL_ and NO_PROXY.

    Raises `UsageError` if one of these cannot be used, or SSL_CERT_FILE or SSL_CERT_DIR.
    """
    try:
        return httpx.Client(headers={"User-Agent": _USER_AGENT, **(headers or {})}, **options)
    except ImportError:
        raise UsageError(
            "a proxy is a SOCKS proxy, for which httpx wants one more package: "
            "pip install 'httpx[socks]', or unset ALL_PROXY, HTTP_PROXY and HTTPS_PROXY"
        ) from None
    except OSError as error:
        raise _no_certificates(error) from None
    except (ValueError, httpx.InvalidURL) as error:
        raise UsageError(
            "one of HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY cannot be used "
            f"({quote(str(error))}): give proxies as http://HOST:PORT, and "
            "NO_PROXY as names of hosts with commas between"
        ) from None


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


class _Stopped(Exception):  # noqa: N818 - nothing went wrong
    pass


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and what led to it: httpx keeps what the system said at the bottom."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
