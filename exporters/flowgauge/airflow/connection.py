"""The MLflow that tracking is set to, kept connected between the log calls of one process."""

import math
import os
from collections.abc import Collection
from functools import lru_cache
from typing import Protocol

from flowgauge.airflow.attempt import Attempt
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.rest import RestConnection
from flowgauge.airflow.uri import find_tracking_uri
from flowgauge.loading import loading
from flowgauge.tracking.headers import MLFLOW_HEADERS
from flowgauge.tracking.pages import Pages
from flowgauge.tracking.settings import speaks_rest
from flowgauge.tracking.uri import TrackingUri

__all__ = ["Connection", "connect"]

_SETTINGS = ("MLFLOW_", MLFLOW_HEADERS)


class Connection(Protocol):
    """One MLflow."""

    def send(self, entry: Entry, attempt: Attempt, *, seconds: float) -> str:
        """Deliver *entry* within *seconds* and return its run id.

        *attempt* says where the last one stopped, and then where this one did. Raises
        `TrackingError`, and `OutOfTimeError` where MLflow answered, but there was more to send.
        """

    def probe(self, seconds: float) -> None:
        """Return if it answers within *seconds*, else raise `TrackingError`."""

    @property
    def pages(self) -> Pages | None:
        """Its pages for people, None if there is no UI."""

    @property
    def experiment_ids(self) -> Collection[str]:
        """The experiments it sent to."""


def connect(uri: str | None = None, *, seconds: float = math.inf) -> Connection:
    """Return the MLflow at *uri*, or else the one tracking is set to, as found within *seconds*.

    Raises `UsageError` if it is set to none, or in a way that cannot be used.
    """
    found = TrackingUri(uri, "the caller") if uri else find_tracking_uri(seconds)
    environ = found.environ()
    settings = frozenset(item for item in environ.items() if item[0].startswith(_SETTINGS))
    return _connection(found.value, settings, os.getpid())


# A login set meanwhile makes a new connection; so does a fork, for a child must not share sockets.
@lru_cache(maxsize=4)
def _connection(uri: str, settings: frozenset[tuple[str, str]], _process: int) -> Connection:
    if not speaks_rest(uri, os.environ):
        with loading():
            from flowgauge.airflow.client import ClientConnection  # noqa: PLC0415

        return ClientConnection(uri)
    return RestConnection(uri, {**os.environ, **dict(settings)})
