"""Metrics as HTTP: the format and the compression that the client asks for."""

import gzip
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Format", "format_for"]

# Of its formats. For any other version somebody may ask, too, and it would be one more format.
_VERSIONS = ("version=0.0.4;", "version=1.0.0;")


class Format(NamedTuple):
    """How a page is written; there are few, whatever clients ask for."""

    encode: Callable[[Collector], bytes]
    content_type: str
    is_packed: bool

    def page(self, collector: Collector) -> Response:
        """Return *collector*'s metrics."""
        body = self.encode(collector)
        headers = {"Content-Type": self.content_type, "Vary": "Accept, Accept-Encoding"}
        if self.is_packed:
            body = gzip.compress(body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers)


def format_for(request: Request) -> Format:
    """Return what *request* asks for: text or OpenMetrics, gzip or not."""
    is_packed = gzip_accepted(request.headers.get("accept-encoding", ""))
    try:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
    except (TypeError, ValueError):
        # It asks for a version that is no number.
        content_type = ""
    if not any(version in content_type for version in _VERSIONS):
        encode, content_type = choose_encoder("")
    return Format(encode, content_type, is_packed)
