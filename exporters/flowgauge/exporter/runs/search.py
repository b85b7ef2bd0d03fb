"""Searching MLflow for the runs of DAGs, no more at once than it can answer in a given time."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from flowgauge.exporter.runs.run import Run, run_from
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import TrackingNotMlflowError
from flowgauge.tracking.queries import Queries
from flowgauge.tracking.tags import DAG_ID_TAG

__all__ = ["FoundRuns", "RunSearch"]

_TAGGED = f"tags.`{DAG_ID_TAG}` LIKE '%'"
# What a run takes MLflow until it is known: with many figures and facts, rather too much.
_SECONDS_A_RUN = 0.005
_LEAST_SECONDS = 0.001


@dataclass(frozen=True)
class FoundRuns:
    """Runs, newest first, and whether there are more."""

    runs: Sequence[Run]
    limited: bool


class RunSearch:
    """Searches in the experiments that *experiment_ids* tells, for *page* runs at most."""

    def __init__(
        self,
        client: TrackingClient,
        experiment_ids: Callable[[], Sequence[str]],
        seconds_left: Callable[[], float],
        *,
        page: int,
        clock: Callable[[], float],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._experiment_ids = experiment_ids
        self._seconds_left = seconds_left
        self._page = page
        self._clock = clock
        self._headers = headers
        self._seconds_a_run = _SECONDS_A_RUN

    def portion(self, seconds: float, least: int) -> int:
        """Return how many runs MLflow tells of in *seconds*, by how long it took lately.

        But *least* at least: even the question takes its time, so few at once are no cheaper.
        """
        return min(max(int(seconds / self._seconds_a_run), least), self._page)

    def find(
        self,
        *conditions: str,
        most: int,
        experiment_ids: Collection[str] | None = None,
        newest: str = "start_time",
        deleted: bool = False,
    ) -> FoundRuns:
        """Return up to *most* of the runs that meet the *conditions*; else as `Queries.runs`.

        Raises `TrackingError`.
        """
        began = self._clock()
        queries = Queries(
            self._client,
            seconds_left=self._seconds_left,
            page=most,
            limit=most,
            headers=self._headers,
        )
        found = queries.runs(
            list(self._experiment_ids() if experiment_ids is None else experiment_ids),
            " AND ".join((*conditions, _TAGGED)),
            newest=newest,
            deleted=deleted,
        )
        # A full page: the time for a few says more of the question than of them, and if it was long
        # by chance, the next is larger again.
        if found.limited:
            self._seconds_a_run = max(self._clock() - began, _LEAST_SECONDS) / len(found.items)
        try:
            runs = [run_from(each) for each in found.items]
        except (KeyError, StopIteration, TypeError, ValueError):
            raise TrackingNotMlflowError(
                f"{self._client.address} tells of runs in a way that MLflow does not: see what"
                " answers there"
            ) from None
        return FoundRuns(runs, found.limited)
