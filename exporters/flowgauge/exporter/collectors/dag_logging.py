"""What DAGs logged, by DAG and task up to a limit of pairs."""

from collections.abc import Iterator
from dataclasses import dataclass

from flowgauge.exporter.collector import Context, Family
from flowgauge.exporter.counted import counted_families
from flowgauge.exporter.families import family
from flowgauge.metrics import DAG_PAIRS_DROPPED
from flowgauge.store import Totals, totals

__all__ = ["DagLoggingCollector"]


@dataclass(frozen=True)
class DagLoggingCollector:
    """Shows what the store counted for each DAG and task.

    Beyond the context's `max_pairs`, pairs, and DAGs, are summed up under the labels `other`. The
    first to come keep theirs for good: a counter that moved to `other` and back would look
    restarted.
    """

    context: Context
    name = "dag_logging"
    time_limit_seconds = 5.0

    def collect(self) -> Iterator[Family]:
        """Yield every metric that is counted by DAG and task, or by DAG, and how many are other."""
        counts = self.context.store.counts
        pairs = list(totals(counts, "dag_id", "task_id"))
        dags = totals(counts, "dag_id")
        yield from counted_families("dag_id", "task_id", totals=pairs, shown=self._is_shown)
        yield from counted_families("dag_id", totals=dags, shown=self._is_shown)
        others = sum(not self._is_shown(pair) for pair in pairs)
        yield family(DAG_PAIRS_DROPPED, {(): others})

    def _is_shown(self, owner: Totals) -> bool:
        return owner.place < self.context.max_pairs
