"""Metrics as HTTP: the format and the compression that the client asks for."""

import gzip

from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["exposition"]


def exposition(collector: Collector, request: Request) -> Response:
    """Return *collector*'s metrics as text or, if asked for, OpenMetrics; gzip if asked for."""
    try:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
    except (TypeError, ValueError):
        # It asks for a version that is no number.
        encode, content_type = choose_encoder("")
    body = encode(collector)
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if gzip_accepted(request.headers.get("accept-encoding", "")):
        body = gzip.compress(body, compresslevel=1)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers)
