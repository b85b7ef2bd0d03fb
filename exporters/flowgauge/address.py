"""HOST:PORT, and the socket that listens there."""

import errno
import os
import re
import socket

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.redact import quote

__all__ = ["join_address", "listen", "parse_address"]

_ADDRESS = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^:\[\]\s/@]*)):(?P<port>\d{1,5})", re.ASCII
)
_MAX_PORT = 65535


def parse_address(text: str, setting: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT, [IPV6]:PORT or :PORT.

    Raises `UsageError`, naming the *setting* it comes from, for any other text.
    """
    match = _ADDRESS.fullmatch(text)
    if not match or int(match["port"]) > _MAX_PORT:
        raise UsageError(
            f"{setting} is {quote(text)!r}: give HOST:PORT, or :PORT for all interfaces"
        )
    return match["ipv6"] or match["host"] or "", int(match["port"])


def join_address(host: str, port: int) -> str:
    """Return HOST:PORT, of which `parse_address` makes the two again: an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen(host: str, port: int, setting: str, *, shared: bool = False) -> socket.socket:
    """Return a socket that listens on *port* of *host*, on all interfaces if that is empty.

    With *shared*, other processes of the same user may listen there too, if they share it as well:
    the kernel gives each connection to one of them. Raises `FlowgaugeError`, naming the *setting*
    to change, if the port is taken or may not be used, or the host is not this one.
    """
    try:
        listener = _listener(host, port, shared)
    except socket.gaierror:
        reason = "the host name does not resolve"
        raise FlowgaugeError(_cannot(host, port, reason, setting)) from None
    except (OSError, UnicodeError) as error:
        raise FlowgaugeError(_cannot(host, port, _reason(error), setting)) from None
    # Connections inherit it. asyncio sets it only on sockets made for TCP by name, and without it
    # every answer on a connection that is kept open takes 40 ms: Nagle waits for a delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _listener(host: str, port: int, shared: bool) -> socket.socket:
    both = not host and socket.has_dualstack_ipv6()
    family = (
        socket.AF_INET6
        if both
        else socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0][0]
    )
    return socket.create_server(
        (host, port), family=family, backlog=128, reuse_port=shared, dualstack_ipv6=both
    )


def _reason(error: Exception) -> str:
    code = error.errno if isinstance(error, OSError) else None
    match code:
        case errno.EADDRINUSE:
            return "something else listens there"
        case errno.EADDRNOTAVAIL:
            return "this machine does not have that address"
        case errno.EACCES:
            return "ports below 1024 need permission"
        case None:
            return "that is no host name"
        case _:
            return os.strerror(code)


def _cannot(host: str, port: int, reason: str, setting: str) -> str:
    place = join_address(host, port)
    return f"cannot listen on {place}, {reason}: choose another address with {setting}"
