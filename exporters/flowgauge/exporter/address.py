"""HOST:PORT, and the socket that listens there."""

import errno
import os
import re
import socket

from flowgauge.errors import FlowgaugeError, UsageError

__all__ = ["listen", "parse_address"]

_ADDRESS = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^:\[\]\s/@]*)):(?P<port>\d{1,5})", re.ASCII
)
_MAX_PORT = 65535


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT, [IPV6]:PORT or :PORT; raise `UsageError` for others."""
    match = _ADDRESS.fullmatch(text)
    if not match or int(match["port"]) > _MAX_PORT:
        raise UsageError(
            f"--web.listen-address is {text!r}: give HOST:PORT, or :PORT for all interfaces"
        )
    return match["ipv6"] or match["host"] or "", int(match["port"])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on *port* of *host*, on all interfaces if that is empty.

    Raises `FlowgaugeError` if the port is taken or may not be used, or the host is not this one.
    """
    try:
        listener = _listener(host, port)
    except socket.gaierror:
        raise FlowgaugeError(_cannot(host, port, "the host name does not resolve")) from None
    except (OSError, UnicodeError) as error:
        raise FlowgaugeError(_cannot(host, port, _reason(error))) from None
    # Connections inherit it. asyncio sets it only on sockets made for TCP by name, and without it
    # every answer on a connection that is kept open takes 40 ms: Nagle waits for a delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _listener(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128
        )
    family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=128)


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


def _cannot(host: str, port: int, reason: str) -> str:
    return (
        f"cannot listen on {host}:{port}, {reason}: "
        "choose another address with --web.listen-address"
    )
