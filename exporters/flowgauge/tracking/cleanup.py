"""Keeping MLflow tidy: runs nobody finished, and runs nobody needs any more."""

import time
from collections.abc import Collection, Sequence
from datetime import timedelta

from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.queries import Queries
from flowgauge.tracking.tags import DAG_ID_TAG

__all__ = ["close_stale_runs", "delete_old_runs"]

# The status MLflow has for a run that was ended from outside.
_CLOSED = "KILLED"
_NOTE_TAG = "flowgauge.closed"


def close_stale_runs(client: TrackingClient, older_than: timedelta) -> list[str]:
    """Close the runs of DAGs that have been RUNNING for longer; return their ids.

    What started them is gone: the worker was killed, the task timed out. They become KILLED, with
    the tag `flowgauge.closed` to say why. Runs that no DAG started are left alone: a notebook may
    well work for days. Raises `TrackingError`.
    """
    condition = f"attributes.status = 'RUNNING' AND tags.`{DAG_ID_TAG}` LIKE '%'"
    stale = _runs_started_before(client, older_than, list(_experiments(client)), condition)
    for run_id in stale:
        note = f"it had been RUNNING for over {older_than}"
        client.call("POST", "runs/set-tag", {"run_id": run_id, "key": _NOTE_TAG, "value": note})
        end = {"run_id": run_id, "status": _CLOSED, "end_time": _now_ms()}
        client.call("POST", "runs/update", end)
    return stale


def delete_old_runs(
    client: TrackingClient, experiments: Collection[str], older_than: timedelta
) -> list[str]:
    """Move runs of the *experiments* of these names to MLflow's trash if they started earlier.

    Returns their ids. `mlflow gc` empties the trash. A name that no experiment has is passed over.
    Raises `TrackingError`.
    """
    chosen = [key for key, name in _experiments(client).items() if name in experiments]
    old = _runs_started_before(client, older_than, chosen)
    for run_id in old:
        client.call("POST", "runs/delete", {"run_id": run_id})
    return old


def _experiments(client: TrackingClient) -> dict[str, str]:
    found = Queries(client).experiments().items
    return {experiment["experiment_id"]: experiment["name"] for experiment in found}


def _runs_started_before(
    client: TrackingClient,
    older_than: timedelta,
    experiment_ids: Sequence[str],
    condition: str = "",
) -> list[str]:
    if not experiment_ids:
        return []
    # Milliseconds: a cut-off in seconds lies in 1970 and finds nothing.
    cutoff = _now_ms() - older_than // timedelta(milliseconds=1)
    conditions = [f"attributes.start_time < {cutoff}", *filter(None, [condition])]
    found = Queries(client).runs(experiment_ids, " AND ".join(conditions))
    return [run["info"]["run_id"] for run in found.items]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
