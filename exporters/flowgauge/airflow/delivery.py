"""Bringing an entry into MLflow as one finished run, once."""

import sys
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import partial
from itertools import islice, zip_longest
from typing import NamedTuple, Protocol, TypeVar

from flowgauge.airflow.attempt import Attempt
from flowgauge.airflow.deadline import OutOfTimeError
from flowgauge.airflow.entry import Entry, Point
from flowgauge.airflow.mlflow_limits import METRICS_PER_BATCH, PARAMS_PER_BATCH, TAGS_PER_BATCH
from flowgauge.tracking.errors import (
    TrackingError,
    TrackingRejectedError,
    TrackingTimedOutError,
    TrackingUnauthorizedError,
)
from flowgauge.tracking.tags import LOG_ID_TAG

__all__ = ["Experiment", "FoundRun", "Tracking", "deliver"]

# How far MLflow's clock and a worker's may be apart.
_CLOCKS_MS = 3_600_000

_T = TypeVar("_T")


class Experiment(NamedTuple):
    """An experiment, and when it was made, in Unix milliseconds."""

    experiment_id: str
    created_ms: int = sys.maxsize


class FoundRun(NamedTuple):
    """A run that is there, and its status."""

    run_id: str
    status: str


class Tracking(Protocol):
    """What delivery asks of MLflow.

    Methods raise `TrackingError`, and `OutOfTimeError` when there is no time for another request.
    """

    def experiment(self, name: str) -> Experiment:
        """Return the experiment *name*, which is made if it is not there."""

    def all_experiments(self) -> Sequence[str]:
        """Return the ids of all experiments."""

    def create_run(self, experiment_id: str, entry: Entry) -> str:
        """Start a run with the entry's name, tags and time; return its id."""

    def find_runs(self, experiment_ids: Sequence[str], log_id: str) -> Sequence[FoundRun]:
        """Return the runs tagged with *log_id*."""

    def delete_run(self, run_id: str) -> None:
        """Move a run to MLflow's trash."""

    def has_tag(self, run_id: str, name: str) -> bool:
        """Return whether a run has a tag of that name."""

    def log_batch(
        self, run_id: str, points: Sequence[Point], params: Mapping[str, str], time_ms: int
    ) -> None:
        """Add figures and facts to a run; adding the same ones again changes nothing."""

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set up to 100 tags of a run."""

    def put_artifact(self, run_id: str, name: str, content: bytes) -> None:
        """Write a file of a run's artifacts, also over the same one."""

    def end_run(self, run_id: str, status: str, time_ms: int) -> None:
        """Mark a run as ended."""


def deliver(
    tracking: Tracking,
    entry: Entry,
    experiments: MutableMapping[str, Experiment],
    attempt: Attempt,
) -> str:
    """Make the run of *entry*, or complete the one that is there, and return its id.

    *attempt* says where the last one stopped, and afterwards where this one did. *experiments*
    remembers experiments by name. Raises `TrackingError`, and `OutOfTimeError` where MLflow
    answered, but the time was too short for all that there is to send.
    """
    had = attempt.batches
    try:
        return _deliver(tracking, entry, experiments, attempt)
    except TrackingTimedOutError as error:
        if attempt.batches > had:
            raise OutOfTimeError(f"no time was left for the rest: {error}") from error
        raise
    except TrackingError:
        # The experiment may have been deleted, or the whole server made anew.
        experiments.pop(entry.experiment, None)
        raise


def _deliver(
    tracking: Tracking,
    entry: Entry,
    experiments: MutableMapping[str, Experiment],
    attempt: Attempt,
) -> str:
    if entry.run_id is not None:
        return _add(tracking, entry, attempt, entry.run_id)
    if attempt.run_id is not None:
        try:
            return _complete(tracking, entry, attempt, attempt.run_id)
        except TrackingRejectedError as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            attempt.run_id, attempt.batches = None, 0
    experiment = _experiment(tracking, entry, experiments)
    if entry.only_looks:
        return _remove_late(tracking, experiment, entry)
    if attempt.is_first:
        attempt.run_id = _create(tracking, experiment, entry, attempt)
    else:
        attempt.run_id = _the_one_run(tracking, experiment, entry, attempt)
    if attempt.was_complete:
        return attempt.run_id
    return _complete(tracking, entry, attempt, attempt.run_id)


def _add(tracking: Tracking, entry: Entry, attempt: Attempt, run_id: str) -> str:
    """Add *entry* to a run that is not its own."""
    attempt.run_id = run_id
    # Another try of the task has another time, by which MLflow would take its figures for new ones.
    mark = f"{LOG_ID_TAG}.{entry.log_id}"
    attempt.was_complete = entry.once and tracking.has_tag(run_id, mark)
    if attempt.was_complete:
        return run_id
    for tags in _chunks(entry.tags.items(), TAGS_PER_BATCH):
        tracking.tag_run(run_id, dict(tags))
    _complete(tracking, entry, attempt, run_id)
    if entry.once:
        tracking.tag_run(run_id, {mark: "added"})
    return run_id


def _create(tracking: Tracking, experiment: Experiment, entry: Entry, attempt: Attempt) -> str:
    was_in_doubt, attempt.is_in_doubt = attempt.is_in_doubt, True
    try:
        run_id = tracking.create_run(experiment.experiment_id, entry)
    except (OutOfTimeError, TrackingRejectedError, TrackingUnauthorizedError):
        attempt.is_in_doubt = was_in_doubt
        raise
    attempt.is_in_doubt = was_in_doubt
    return run_id


def _complete(tracking: Tracking, entry: Entry, attempt: Attempt, run_id: str) -> str:
    for send in islice(_parts(tracking, entry, run_id), attempt.batches, None):
        send()
        attempt.batches += 1
    if entry.status not in {"", "RUNNING"}:
        end_ms = entry.logged_ms if entry.end_ms is None else entry.end_ms
        tracking.end_run(run_id, entry.status, end_ms)
    return run_id


def _experiment(
    tracking: Tracking, entry: Entry, experiments: MutableMapping[str, Experiment]
) -> Experiment:
    if entry.experiment_id is not None:
        # Its parent's is not younger than it.
        return Experiment(entry.experiment_id, created_ms=0)
    if entry.experiment not in experiments:
        experiments[entry.experiment] = tracking.experiment(entry.experiment)
    return experiments[entry.experiment]


def _the_one_run(tracking: Tracking, experiment: Experiment, entry: Entry, attempt: Attempt) -> str:
    found = _find(tracking, experiment, entry)
    complete = _complete_ones(entry, found)
    attempt.was_complete = bool(complete)
    run_ids = {run.run_id for run in found}
    if not run_ids:
        # Its own id is known, also where a search lags behind.
        run_ids.add(_create(tracking, experiment, entry, attempt))
        # A request given up long ago may still have been waiting in the server for a lock.
        late = tracking.find_runs([experiment.experiment_id], entry.log_id)
        run_ids.update(run.run_id for run in late)
    return _keep_one(tracking, run_ids, complete)


def _remove_late(tracking: Tracking, experiment: Experiment, entry: Entry) -> str:
    """Leave one run of *entry*, if there is one that has all of it; return its id or nothing."""
    found = _find(tracking, experiment, entry)
    complete = _complete_ones(entry, found)
    # An empty one may not be told from a full one that is still RUNNING.
    return _keep_one(tracking, {run.run_id for run in found}, complete) if complete else ""


def _find(tracking: Tracking, experiment: Experiment, entry: Entry) -> Sequence[FoundRun]:
    found = tracking.find_runs([experiment.experiment_id], entry.log_id)
    if not found and experiment.created_ms > entry.logged_ms - _CLOCKS_MS:
        # An experiment of this name may have been renamed since an earlier attempt.
        found = tracking.find_runs(tracking.all_experiments(), entry.log_id)
    return found


def _complete_ones(entry: Entry, found: Iterable[FoundRun]) -> set[str]:
    # Its status is the last thing a run gets. Whoever closes stale runs says that they are killed.
    ended = {entry.status} & {"FINISHED", "FAILED"}
    return {run.run_id for run in found if run.status in ended}


def _keep_one(tracking: Tracking, run_ids: set[str], complete: set[str]) -> str:
    # The order is the same for everybody who looks, so all keep the same one.
    kept, *surplus = sorted(run_ids, key=lambda run_id: (run_id not in complete, run_id))
    for run_id in surplus:
        tracking.delete_run(run_id)
    return kept


def _parts(tracking: Tracking, entry: Entry, run_id: str) -> Iterator[Callable[[], None]]:
    """Yield what sends one part of *entry* after the other."""
    for points, params in _batches(entry):
        yield partial(tracking.log_batch, run_id, points, dict(params), entry.logged_ms)
    for name, content in (entry.artifacts or {}).items():
        yield partial(tracking.put_artifact, run_id, name, b64decode(content))


def _batches(entry: Entry) -> Iterator[tuple[Sequence[Point], Sequence[tuple[str, str]]]]:
    points = _chunks(entry.points(), METRICS_PER_BATCH)
    params = _chunks(entry.params.items(), PARAMS_PER_BATCH)
    yield from zip_longest(points, params, fillvalue=())


def _chunks(values: Iterable[_T], size: int) -> Iterator[Sequence[_T]]:
    rest = iter(values)
    while chunk := tuple(islice(rest, size)):
        yield chunk
