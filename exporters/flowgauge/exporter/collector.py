"""What a collector is."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Metric as Family

from flowgauge.store import Store
from flowgauge.tracking.client import TrackingClient

__all__ = ["MAX_TIME_LIMIT_SECONDS", "Collector", "Context", "Family"]

# Prometheus gives up after 10 s unless told otherwise.
MAX_TIME_LIMIT_SECONDS = 8.0


@dataclass(frozen=True)
class Context:
    """What collectors read from, and how many pairs of DAG and task have labels of their own.

    One that was not seen for `forget_seconds` loses them. MLflow is asked for runs every
    `runs_interval_seconds` at most, in `max_workspaces` of its workspaces.
    """

    tracking: TrackingClient
    store: Store
    max_pairs: int = 1000
    forget_seconds: float = math.inf
    runs_interval_seconds: float = 60.0
    max_workspaces: int = 20


class Collector(Protocol):
    """Reads one concern from its source for every scrape.

    Scrapes never overlap for one collector. What has vanished at the source vanishes from the page:
    one that keeps what it read, because its source must not be asked so often, says how old it is.
    """

    @property
    def name(self) -> str:
        """Its value of the label `collector`."""

    @property
    def time_limit_seconds(self) -> float:
        """After this a scrape no longer waits for it; `MAX_TIME_LIMIT_SECONDS` at most."""

    def collect(self) -> Iterable[Family]:
        """Yield metric families, made by `flowgauge.exporter.families`.

        An exception means failure; one that is no `FlowgaugeError` is logged as a defect. What was
        yielded before it, or before the time limit, is shown.
        """
