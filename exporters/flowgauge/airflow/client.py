"""Delivery through MLflow's own client: for stores that are not HTTP, and for its login plugins."""

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from flowgauge.airflow.attempt import Attempt
from flowgauge.airflow.deadline import Deadline, OutOfTimeError
from flowgauge.airflow.delivery import Experiment, FoundRun, deliver
from flowgauge.airflow.entry import Entry, Point
from flowgauge.background import in_background
from flowgauge.redact import quote, redact_url, without
from flowgauge.tracking.errors import (
    TrackingError,
    TrackingRejectedError,
    TrackingTimedOutError,
    TrackingUnauthorizedError,
    TrackingUnavailableError,
)
from flowgauge.tracking.failures import is_database_problem
from flowgauge.tracking.pages import Pages, mlflow_pages
from flowgauge.tracking.secrets import known_secrets
from flowgauge.tracking.tags import LOG_ID_TAG

__all__ = ["ClientConnection"]

_LONGEST_SAID = 2000
_T = TypeVar("_T")


class ClientConnection:
    """One MLflow, as `mlflow.MlflowClient` reaches it.

    That client takes 2 s and 55 MB to import, and repeats a request for minutes; so it works in a
    thread, which is left behind when its time is over and then takes no further step.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._experiments: dict[str, Experiment] = {}

    def send(self, entry: Entry, attempt: Attempt, *, seconds: float) -> str:
        """Deliver *entry* within *seconds* and return its run id; raise `TrackingError`."""
        tracking = _ClientTracking(self._uri, Deadline(seconds))
        had = attempt.batches
        try:
            return self._in_time(
                lambda: deliver(tracking, entry, self._experiments, attempt), seconds
            )
        except TrackingTimedOutError as error:
            if attempt.batches > had:
                raise OutOfTimeError(f"no time was left for the rest: {error}") from error
            raise

    def probe(self, seconds: float) -> None:
        """Return if it answers within *seconds*, else raise `TrackingError`."""
        tracking = _ClientTracking(self._uri, Deadline(seconds))
        self._in_time(tracking.probe, seconds)

    @property
    def pages(self) -> Pages | None:
        """Its pages for people: a store other than a server has none that its URI would name."""
        return mlflow_pages(self._uri)

    @property
    def experiment_ids(self) -> Collection[str]:
        """The experiments it sent to."""
        return {experiment.experiment_id for experiment in self._experiments.values()}

    def _in_time(self, work: Callable[[], _T], seconds: float) -> _T:
        try:
            return in_background(work, "mlflow-client").result(seconds)
        except TimeoutError:
            raise TrackingTimedOutError(
                f"MLflow at {redact_url(self._uri)} did not answer within {seconds:.3g} s"
            ) from None
        except (TrackingError, OutOfTimeError):
            raise
        # Below MLflow lie SQLAlchemy, requests and people's plugins: they raise what they like.
        except Exception as error:
            raise _translate(self._uri, error) from error


class _ClientTracking:
    """Keeps `Tracking`; raises what MLflow raises. No step starts after *deadline*."""

    def __init__(self, uri: str, deadline: Deadline) -> None:
        self._uri = uri
        self._deadline = deadline

    @cached_property
    def _connected(self) -> Any:
        from mlflow import MlflowClient  # noqa: PLC0415 - see ClientConnection

        return MlflowClient(self._uri)

    @property
    def _client(self) -> Any:
        self._deadline.allot()
        return self._connected

    def probe(self) -> None:
        """Make a real call."""
        self._client.search_experiments(max_results=1)

    def experiment(self, name: str) -> Experiment:
        """Return the experiment *name*, which is made if it is not there."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see ClientConnection

        if found := self._client.get_experiment_by_name(name):
            return _as_experiment(found)
        try:
            return Experiment(str(self._client.create_experiment(name)))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # Another task was faster.
        return _as_experiment(self._client.get_experiment_by_name(name))

    def all_experiments(self) -> Sequence[str]:
        """Return the ids of all experiments."""
        found: list[str] = []
        token = None
        while True:
            page = self._client.search_experiments(page_token=token)
            found += [str(experiment.experiment_id) for experiment in page]
            token = page.token
            if not token:
                return found

    def create_run(self, experiment_id: str, entry: Entry) -> str:
        """Start a run with the entry's name, tags and time; return its id."""
        run = self._client.create_run(
            experiment_id,
            start_time=entry.logged_ms if entry.start_ms is None else entry.start_ms,
            tags={**entry.tags, LOG_ID_TAG: entry.log_id},
            run_name=entry.run_name,
        )
        return str(run.info.run_id)

    def find_runs(self, experiment_ids: Sequence[str], log_id: str) -> Sequence[FoundRun]:
        """Return the runs tagged with *log_id*."""
        runs = self._client.search_runs(list(experiment_ids), f"tags.`{LOG_ID_TAG}` = '{log_id}'")
        return [FoundRun(run.info.run_id, run.info.status) for run in runs]

    def delete_run(self, run_id: str) -> None:
        """Move a run to MLflow's trash."""
        self._client.delete_run(run_id)

    def has_tag(self, run_id: str, name: str) -> bool:
        """Return whether a run has a tag of that name."""
        return name in self._client.get_run(run_id).data.tags

    def log_batch(
        self, run_id: str, points: Sequence[Point], params: Mapping[str, str], time_ms: int
    ) -> None:
        """Add figures and facts to a run; adding the same ones again changes nothing."""
        from mlflow.entities import Metric, Param  # noqa: PLC0415 - see ClientConnection

        self._client.log_batch(
            run_id,
            metrics=[Metric(point.name, point.value, time_ms, point.step) for point in points],
            params=[Param(name, value) for name, value in params.items()],
        )

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set up to 100 tags of a run."""
        from mlflow.entities import RunTag  # noqa: PLC0415 - see ClientConnection

        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    def put_artifact(self, run_id: str, name: str, content: bytes) -> None:
        """Write a file of a run's artifacts, also over the same one."""
        folder, _, file_name = name.rpartition("/")
        with TemporaryDirectory() as local:
            file = Path(local, file_name)
            file.write_bytes(content)
            self._client.log_artifact(run_id, str(file), folder or None)

    def end_run(self, run_id: str, status: str, time_ms: int) -> None:
        """Mark a run as ended."""
        self._client.set_terminated(run_id, status, time_ms)


def _as_experiment(found: Any) -> Experiment:
    return Experiment(str(found.experiment_id), found.creation_time or sys.maxsize)


def _translate(uri: str, error: Exception) -> TrackingError:
    where = f"MLflow at {redact_url(uri)}"
    # Its sentences repeat the URI piece by piece.
    said = quote(without(str(error), known_secrets(uri, os.environ)), _LONGEST_SAID)
    if isinstance(error, ModuleNotFoundError):
        return TrackingUnavailableError(f"{where} needs a package that is missing: {said}")
    # MlflowException, whose class cannot be named here without importing MLflow.
    status = error.get_http_status_code() if hasattr(error, "get_http_status_code") else 500
    code = str(getattr(error, "error_code", type(error).__name__))
    sentence = f"{where} answered {code}: {said}"
    if status in {401, 403}:
        return TrackingUnauthorizedError(sentence)
    if status in {400, 404, 409} and not is_database_problem(str(error)):
        return TrackingRejectedError(sentence, status=status, error_code=code, message=said)
    return TrackingUnavailableError(sentence)
