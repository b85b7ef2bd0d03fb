"""Bringing an entry into MLflow as one finished run, once."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from itertools import islice, zip_longest
from typing import Protocol, TypeVar

from flowgauge.airflow.entry import Entry, Point
from flowgauge.airflow.mlflow_limits import METRICS_PER_BATCH, PARAMS_PER_BATCH
from flowgauge.tracking.errors import TrackingError

__all__ = ["Tracking", "deliver"]

_T = TypeVar("_T")


class Tracking(Protocol):
    """What delivery asks of MLflow. Methods raise `TrackingError`, also when time runs out."""

    def experiment_id(self, name: str) -> str:
        """Return the id of the experiment *name*, which is made if it is not there."""

    def create_run(self, experiment_id: str, entry: Entry) -> str:
        """Start a run with the entry's name, tags and time; return its id."""

    def find_runs(self, experiment_id: str, log_id: str) -> list[str]:
        """Return the ids of the runs tagged with *log_id*."""

    def delete_run(self, run_id: str) -> None:
        """Move a run to MLflow's trash."""

    def log_batch(
        self, run_id: str, points: Sequence[Point], params: Mapping[str, str], time_ms: int
    ) -> None:
        """Add figures and facts to a run; adding the same ones again changes nothing."""

    def finish_run(self, run_id: str, time_ms: int) -> None:
        """Mark a run as finished."""


def deliver(
    tracking: Tracking, entry: Entry, experiment_ids: MutableMapping[str, str], *, again: bool
) -> str:
    """Make the run of *entry* and return its id.

    With *again*, an earlier attempt may have got anywhere: a run that is there is completed.
    *experiment_ids* remembers the ids of experiments by name. Raises `TrackingError`.
    """
    try:
        return _deliver(tracking, entry, experiment_ids, again=again)
    except TrackingError:
        # The experiment may have been deleted, or the whole server made anew.
        experiment_ids.pop(entry.experiment, None)
        raise


def _deliver(
    tracking: Tracking, entry: Entry, experiment_ids: MutableMapping[str, str], *, again: bool
) -> str:
    if entry.experiment not in experiment_ids:
        experiment_ids[entry.experiment] = tracking.experiment_id(entry.experiment)
    experiment_id = experiment_ids[entry.experiment]
    if again:
        run_id = _the_one_run(tracking, experiment_id, entry)
    else:
        run_id = tracking.create_run(experiment_id, entry)
    for points, params in _batches(entry):
        tracking.log_batch(run_id, points, dict(params), entry.logged_ms)
    tracking.finish_run(run_id, entry.logged_ms)
    return run_id


def _the_one_run(tracking: Tracking, experiment_id: str, entry: Entry) -> str:
    runs = tracking.find_runs(experiment_id, entry.log_id)
    if not runs:
        tracking.create_run(experiment_id, entry)
        # A request given up long ago may still have been waiting in the server for a lock.
        runs = tracking.find_runs(experiment_id, entry.log_id)
    # The order is the same for everybody who looks, so all keep the same one.
    kept, *surplus = sorted(runs)
    for run_id in surplus:
        tracking.delete_run(run_id)
    return kept


def _batches(entry: Entry) -> Iterator[tuple[Sequence[Point], Sequence[tuple[str, str]]]]:
    points = _chunks(entry.points(), METRICS_PER_BATCH)
    params = _chunks(entry.params.items(), PARAMS_PER_BATCH)
    yield from zip_longest(points, params, fillvalue=())


def _chunks(values: Iterable[_T], size: int) -> Iterator[Sequence[_T]]:
    rest = iter(values)
    while chunk := tuple(islice(rest, size)):
        yield chunk
