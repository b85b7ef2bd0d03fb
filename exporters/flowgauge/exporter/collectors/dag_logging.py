"""What DAGs logged, by DAG and task up to a limit of pairs."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flowgauge.exporter.collector import Context, Family
from flowgauge.exporter.counted import OTHER, counted_families
from flowgauge.exporter.families import family, is_clean
from flowgauge.metrics import DAG_PAIRS_DROPPED
from flowgauge.store import Totals
from flowgauge.store.folding import fold_unseen

__all__ = ["DagLoggingCollector"]

_KINDS = (("dag_id", "task_id"), ("dag_id",))


@dataclass(frozen=True)
class DagLoggingCollector:
    """Shows what the store counted for each DAG and task.

    Beyond the context's `max_pairs`, pairs, and DAGs, are summed up under the labels `other`. The
    first to come keep theirs: a counter that moved to `other` and back would look restarted. Those
    not seen for `forget_seconds` are added to `other` for good, which makes room for new ones.
    """

    context: Context
    now: Callable[[], float] = time.time
    name = "dag_logging"
    time_limit_seconds = 5.0

    def collect(self) -> Iterator[Family]:
        """Yield every metric that is counted by DAG and task, or by DAG, and how many are other."""
        counts = self.context.store.counts
        found = {kind: list(counts.totals(*kind)) for kind in _KINDS}
        for kind, owners in found.items():
            yield from counted_families(*kind, totals=owners, shown=self._is_shown)
        others = sum(not self._is_shown(pair) for pair in found["dag_id", "task_id"])
        yield family(DAG_PAIRS_DROPPED, {(): others})
        since = self.now() - self.context.forget_seconds
        for kind, owners in found.items():
            fold_unseen(counts, ",".join(kind), owners, other=OTHER, since=since)

    def _is_shown(self, owner: Totals) -> bool:
        # Whoever may write to the store may write any name.
        return owner.place < self.context.max_pairs and all(
            is_clean(label) for label in owner.labels
        )
