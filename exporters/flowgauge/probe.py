"""How the exporter's own requests to MLflow are told from users': what it sends, the server reads.

The server believes nothing about it: whoever calls itself so is only left out of what is counted as
users' traffic.
"""

from collections.abc import Iterable

from flowgauge import __version__

__all__ = ["HEADERS", "is_probe"]

_AGENT = "flowgauge-exporter/"

HEADERS = {"User-Agent": f"{_AGENT}{__version__}"}


def is_probe(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether *headers*, as ASGI has them, are those of the exporter's request."""
    return any(
        name == b"user-agent" and value.startswith(_AGENT.encode()) for name, value in headers
    )
