"""A second run of a payload: of a request that was given up, and arrived after all.

MLflow gives a run its id, so two requests for one are two runs. Whoever sends a payload that was
asked a run for before completes the one that he finds; one that comes later he cannot find. So he
leaves a look into the outbox, an entry that is due a minute later, and then removes it.
"""

from flowgauge.airflow.attempt import Attempt
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.write_ahead import new_owner
from flowgauge.store.outbox import Lease
from flowgauge.store.store import Store

__all__ = ["LATE_RUN", "leave_look"]

LATE_RUN = "late_run"
"""The reason of such an entry."""

_SECONDS = 60.0


def leave_look(store: Store, entry: Entry, attempt: Attempt) -> None:
    """Have somebody look for a second run of *entry*, which *attempt* brought into MLflow.

    Does nothing where there can be none. Raises `StoreError`.
    """
    if not attempt.is_in_doubt or attempt.was_complete or entry.run_id is not None:
        return
    look = entry._replace(
        metrics={}, params={}, tags={}, artifacts=None, rows=0, only_looks=True
    ).to_keep(LATE_RUN)
    look = look._replace(entry_id=f"{entry.log_id}-{LATE_RUN}")
    store.outbox.put(look, lease=Lease(new_owner(), _SECONDS))
