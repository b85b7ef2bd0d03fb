"""MLflow's gateway to language models: how much of the time is the provider's, how much its own.

MLflow 3.12 and newer say so in two headers of each answer, but not of one that streams, nor of one
for which no provider was asked.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flowgauge.server.mlflow_host import GATEWAY_OVERHEAD, GATEWAY_TOTAL

if TYPE_CHECKING:
    from flowgauge.server.instruments import Instruments

__all__ = ["count_gateway"]

_MS = 1000


def count_gateway(
    instruments: "Instruments", route: str, status: int, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    """Count a request to one of the gateway's routes, by what the *headers* of its answer say."""
    instruments.gateway_requests.labels(route, str(status)).inc()
    told = {name.lower(): value for name, value in headers}
    if GATEWAY_OVERHEAD in told:
        overhead = int(told[GATEWAY_OVERHEAD])
        instruments.gateway_overhead.labels(route).observe(overhead / _MS)
        provider = int(told[GATEWAY_TOTAL]) - overhead
        instruments.gateway_provider.labels(route).observe(provider / _MS)
