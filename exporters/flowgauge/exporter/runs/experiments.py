"""Which experiments there are, without reading thousands of them again and again."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flowgauge.tracking.queries import Queries

__all__ = ["Experiments"]

# An experiment that the exporter's user is let see later shows no trace of that. Thousands take
# MLflow long: for so much of the time all may be read, and at the rarest every few hours.
_ALL_SHARE = 0.00002
_ALL_EVERY_SECONDS, _ALL_RAREST_SECONDS = 3600, 6 * 3600
# Several servers note the times, and their clocks may differ.
_OVERLAP_MS = 10 * 60 * 1000


class Experiments:
    """The ids of the active experiments, up to *limit*: `limited` if there are more.

    All are read every hour, where they are many every few hours, and in between those that changed.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limited = False
        self._limit = limit
        self._clock = clock
        self._active: dict[str, None] = {}
        self._newest_change = 0
        self._all_due = clock()

    def ids(self) -> Sequence[str]:
        """Return those that are known."""
        return list(self._active)

    def read(self, queries: Queries) -> None:
        """Ask MLflow; raises `TrackingError`."""
        now = self._clock()
        if now < self._all_due:
            since = max(self._newest_change - _OVERLAP_MS, 0)
            self._learn(queries.experiments_changed(since).items)
            return
        found = queries.experiments()
        self._active.clear()
        self.limited = found.limited
        self._learn(found.items)
        pause = (self._clock() - now) / _ALL_SHARE
        self._all_due = now + min(max(pause, _ALL_EVERY_SECONDS), _ALL_RAREST_SECONDS)

    def _learn(self, experiments: Sequence[Mapping[str, Any]]) -> None:
        for experiment in experiments:
            experiment_id = str(experiment["experiment_id"])
            if experiment.get("lifecycle_stage", "active") != "active":
                self._active.pop(experiment_id, None)
            elif experiment_id in self._active or len(self._active) < self._limit:
                self._active[experiment_id] = None
            else:
                self.limited = True
            changed = int(experiment.get("last_update_time") or 0)
            self._newest_change = max(self._newest_change, changed)
