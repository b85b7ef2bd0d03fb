"""Delivery through MLflow's own client: for stores that are not HTTP, and for its login plugins."""

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, TypeVar

from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.delivery import deliver
from flowgauge.airflow.entry import Entry
from flowgauge.background import in_background
from flowgauge.redact import redact_text, redact_url
from flowgauge.tracking.errors import (
    TrackingError,
    TrackingRejectedError,
    TrackingUnauthorizedError,
    TrackingUnavailableError,
    TrackingUnreachableError,
)
from flowgauge.tracking.pages import Pages, mlflow_pages
from flowgauge.tracking.tags import LOG_ID_TAG

__all__ = ["ClientConnection"]

_T = TypeVar("_T")


class ClientConnection:
    """One MLflow, as `mlflow.MlflowClient` reaches it.

    That client takes 2 s and 55 MB to import, and repeats a request for minutes; so it works in a
    thread, which is left behind when its time is over and then takes no further step.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._experiment_ids: dict[str, str] = {}

    def send(self, entry: Entry, *, again: bool, seconds: float) -> str:
        """Deliver *entry* within *seconds* and return its run id; raise `TrackingError`."""
        tracking = _ClientTracking(self._uri, Deadline(seconds))
        return self._in_time(
            lambda: deliver(tracking, entry, self._experiment_ids, again=again), seconds
        )

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
        return set(self._experiment_ids.values())

    def _in_time(self, work: Callable[[], _T], seconds: float) -> _T:
        try:
            return in_background(work, "mlflow-client").result(seconds)
        except TimeoutError:
            raise TrackingUnreachableError(
                f"MLflow at {redact_url(self._uri)} did not answer within {seconds:.3g} s"
            ) from None
        except TrackingError:
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

    def experiment_id(self, name: str) -> str:
        """Return the id of the experiment *name*, which is made if it is not there."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see ClientConnection

        if experiment := self._client.get_experiment_by_name(name):
            return str(experiment.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # Another task was faster.
        return str(self._client.get_experiment_by_name(name).experiment_id)

    def create_run(self, experiment_id: str, entry: Entry) -> str:
        """Start a run with the entry's name, tags and time; return its id."""
        run = self._client.create_run(
            experiment_id,
            start_time=entry.logged_ms,
            tags={**entry.tags, LOG_ID_TAG: entry.log_id},
            run_name=entry.run_name,
        )
        return str(run.info.run_id)

    def find_runs(self, experiment_id: str, log_id: str) -> list[str]:
        """Return the ids of the runs tagged with *log_id*."""
        runs = self._client.search_runs([experiment_id], f"tags.`{LOG_ID_TAG}` = '{log_id}'")
        return [run.info.run_id for run in runs]

    def delete_run(self, run_id: str) -> None:
        """Move a run to MLflow's trash."""
        self._client.delete_run(run_id)

    def log_batch(
        self, run_id: str, metrics: Mapping[str, float], params: Mapping[str, str], time_ms: int
    ) -> None:
        """Add figures and facts to a run; adding the same ones again changes nothing."""
        from mlflow.entities import Metric, Param  # noqa: PLC0415 - see ClientConnection

        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, time_ms, 0) for name, value in metrics.items()],
            params=[Param(name, value) for name, value in params.items()],
        )

    def finish_run(self, run_id: str, time_ms: int) -> None:
        """Mark a run as finished."""
        self._client.set_terminated(run_id, "FINISHED", time_ms)


def _translate(uri: str, error: Exception) -> TrackingError:
    where = f"MLflow at {redact_url(uri)}"
    said = redact_text(str(error))
    if isinstance(error, ModuleNotFoundError):
        return TrackingUnavailableError(f"{where} needs a package that is missing: {said}")
    # MlflowException, whose class cannot be named here without importing MLflow.
    status = error.get_http_status_code() if hasattr(error, "get_http_status_code") else 500
    code = str(getattr(error, "error_code", type(error).__name__))
    sentence = f"{where} answered {code}: {said}"
    if status in {401, 403}:
        return TrackingUnauthorizedError(sentence)
    if status in {400, 404, 409} and "QueuePool limit" not in said:
        return TrackingRejectedError(sentence, status=status, error_code=code, message=said)
    return TrackingUnavailableError(sentence)
