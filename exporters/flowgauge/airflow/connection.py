"""The MLflow that tracking is set to, kept connected between the log calls of one process."""

import math
import os
from functools import lru_cache
from typing import Protocol

from flowgauge.airflow.client import ClientConnection
from flowgauge.airflow.delivery import Attempt
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.rest import RestConnection
from flowgauge.airflow.uri import tracking_uri
from flowgauge.tracking.settings import speaks_rest

__all__ = ["Connection", "connect"]


class Connection(Protocol):
    """One MLflow."""

    def send(self, entry: Entry, attempt: Attempt, *, seconds: float) -> str:
        """Deliver *entry* within *seconds* and return its run id.

        *attempt* says where the last one stopped, and then where this one did. Raises
        `TrackingError`, and `OutOfTimeError` where MLflow answered, but there was more to send.
        """

    def probe(self, seconds: float) -> None:
        """Return if it answers within *seconds*, else raise `TrackingError`."""

    def run_url(self, run_id: str) -> str | None:
        """Return the address of a run's page in MLflow's UI, None if there is no UI."""


def connect(uri: str | None = None, *, seconds: float = math.inf) -> Connection:
    """Return the MLflow at *uri*, or else the one tracking is set to, as found within *seconds*.

    Raises `UsageError` if it is set to none, or in a way that cannot be used.
    """
    uri = uri or tracking_uri(seconds)
    settings = frozenset(item for item in os.environ.items() if item[0].startswith("MLFLOW_"))
    return _connection(uri, settings, os.getpid())


# A login set meanwhile makes a new connection; so does a fork, for a child must not share sockets.
@lru_cache(maxsize=4)
def _connection(uri: str, _settings: frozenset[tuple[str, str]], _process: int) -> Connection:
    return RestConnection(uri) if speaks_rest(uri, os.environ) else ClientConnection(uri)
