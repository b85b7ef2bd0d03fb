"""Addresses of servers that people write down: understood as they are meant, or refused.

In a login, a slash that is not encoded ends the host: what is left of it would be looked up, and
the rest sent to whoever answers. So an address with an @ where none belongs is not used at all, and
nothing of it is repeated.
"""

from urllib.parse import urlsplit

from flowgauge.errors import UsageError
from flowgauge.light_httpx import httpx

__all__ = ["read_web_address"]

_CURE = (
    "give http://HOST:PORT or https://HOST, and in a login write %2F for a slash, %40 for an @ "
    "and so on"
)


def read_web_address(text: str, name: str, schemes: tuple[str, ...] = ("http", "https")) -> str:
    """Return *text*, which is *name*'s, without blanks around it.

    Raises `UsageError` if it is no address of a server that is reached by one of *schemes*.
    """
    address = text.strip()
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        usable = parts.scheme in schemes and bool(host) and parts.port != 0
        httpx.URL(address)
        # What looks the name up would raise a UnicodeError of its own.
        host.encode("idna")
    except (ValueError, httpx.InvalidURL):
        usable = False
        parts = urlsplit("")
    if not usable or parts.netloc.count("@") > 1 or "@" in address.partition(parts.netloc)[2]:
        raise UsageError(f"{name} is no address of a server: {_CURE}")
    return address
