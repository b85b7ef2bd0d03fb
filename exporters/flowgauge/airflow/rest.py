"""Delivery over MLflow's REST API.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

import os
import re
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from math import isfinite, isnan
from typing import Any, TypeVar

from flowgauge.airflow.attempt import Attempt
from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.delivery import Experiment, FoundRun, deliver
from flowgauge.airflow.entry import Entry, Point
from flowgauge.dag_headers import dag_headers
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import (
    TrackingNotMlflowError,
    TrackingRejectedError,
    TrackingUnavailableError,
)
from flowgauge.tracking.pages import Pages, mlflow_pages
from flowgauge.tracking.queries import Queries
from flowgauge.tracking.tags import LOG_ID_TAG

__all__ = ["RestConnection"]

# As SQLite's and MySQL's drivers call it, and PostgreSQL's.
_THERE_ALREADY = re.compile("IntegrityError|UniqueViolation")

_T = TypeVar("_T")


class RestConnection:
    """One MLflow server, as `flowgauge.tracking.client` reaches it.

    Where it asks to be left alone for a while (Retry-After), it is; *clock* gives seconds.
    """

    def __init__(
        self,
        uri: str,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = TrackingClient(uri, environ=environ)
        self._clock = clock
        self._experiments: dict[str, Experiment] = {}
        self._left_alone_until = -sys.float_info.max

    def send(self, entry: Entry, attempt: Attempt, *, seconds: float) -> str:
        """Deliver *entry* within *seconds* and return its run id; raise `TrackingError`."""
        # Whoever sends it, it is the DAG's that logged it.
        headers = dag_headers(entry.dag_id, entry.task_id)
        tracking = _RestTracking(self._client, Deadline(seconds), headers)
        return self._patiently(lambda: deliver(tracking, entry, self._experiments, attempt))

    def probe(self, seconds: float) -> None:
        """Return if it answers within *seconds*, else raise `TrackingError`."""
        queries = Queries(self._client, seconds_left=Deadline(seconds).allot)
        self._patiently(queries.probe)

    @property
    def pages(self) -> Pages | None:
        """Its pages for people."""
        return mlflow_pages(self._client.address)

    @property
    def experiment_ids(self) -> Collection[str]:
        """The experiments it sent to."""
        return {experiment.experiment_id for experiment in self._experiments.values()}

    def _patiently(self, ask: Callable[[], _T]) -> _T:
        left = self._left_alone_until - self._clock()
        if left > 0:
            error = TrackingUnavailableError(
                f"MLflow at {self._client.address} asked to be left alone for {left:.0f} s more: "
                "it has too much to do"
            )
            error.retry_after_seconds = left
            raise error
        try:
            return ask()
        except TrackingUnavailableError as error:
            if error.retry_after_seconds is not None:
                self._left_alone_until = self._clock() + error.retry_after_seconds
            raise


class _RestTracking:
    """Keeps `Tracking`, every request with *headers* and within *deadline*."""

    def __init__(
        self, client: TrackingClient, deadline: Deadline, headers: Mapping[str, str]
    ) -> None:
        self._client = client
        self._deadline = deadline
        self._headers = headers

    def experiment(self, name: str) -> Experiment:
        """Return the experiment *name*, which is made if it is not there."""
        try:
            return self._find_experiment(name)
        except TrackingRejectedError as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        try:
            answer = self._post("experiments/create", name=name)
        except TrackingRejectedError as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        else:
            return Experiment(str(self._part(answer, "experiment_id")))
        # Another task was faster.
        return self._find_experiment(name)

    def all_experiments(self) -> Sequence[str]:
        """Return the ids of all experiments."""
        found = self._queries().experiments().items
        return [str(self._part(experiment, "experiment_id")) for experiment in found]

    def _find_experiment(self, name: str) -> Experiment:
        answer = self._call("GET", "experiments/get-by-name", {"experiment_name": name})
        experiment = self._part(answer, "experiment")
        experiment_id = str(self._part(experiment, "experiment_id"))
        created_ms = str(experiment.get("creation_time", ""))
        return Experiment(experiment_id, int(created_ms) if created_ms.isdecimal() else sys.maxsize)

    def create_run(self, experiment_id: str, entry: Entry) -> str:
        """Start a run with the entry's name, tags and time; return its id."""
        named = {"run_name": entry.run_name} if entry.run_name else {}
        answer = self._post(
            "runs/create",
            experiment_id=experiment_id,
            start_time=entry.logged_ms if entry.start_ms is None else entry.start_ms,
            tags=_pairs({**entry.tags, LOG_ID_TAG: entry.log_id}),
            **named,
        )
        return str(self._part(answer, "run", "info", "run_id"))

    def find_runs(self, experiment_ids: Sequence[str], log_id: str) -> Sequence[FoundRun]:
        """Return the runs tagged with *log_id*."""
        found = self._queries().runs(experiment_ids, f"tags.`{LOG_ID_TAG}` = '{log_id}'")
        infos = [self._part(run, "info") for run in found.items]
        return [
            FoundRun(str(self._part(info, "run_id")), str(info.get("status"))) for info in infos
        ]

    def delete_run(self, run_id: str) -> None:
        """Move a run to MLflow's trash."""
        self._post("runs/delete", run_id=run_id)

    def has_tag(self, run_id: str, name: str) -> bool:
        """Return whether a run has a tag of that name."""
        run = self._part(self._call("GET", "runs/get", {"run_id": run_id}), "run")
        tags = run.get("data", {}).get("tags", [])
        return any(tag.get("key") == name for tag in tags)

    def log_batch(
        self, run_id: str, points: Sequence[Point], params: Mapping[str, str], time_ms: int
    ) -> None:
        """Add figures and facts to a run; adding the same ones again changes nothing."""
        try:
            self._post(
                "runs/log-batch",
                run_id=run_id,
                metrics=[
                    {
                        "key": point.name,
                        "value": _json_number(point.value),
                        "timestamp": time_ms,
                        "step": point.step,
                    }
                    for point in points
                ],
                params=_pairs(params),
            )
        except TrackingRejectedError as error:
            # Before 3.16 MLflow does not know a NaN again and stumbles over its own primary key.
            # It takes a batch as a whole, figures last: if one of them is there, all is.
            is_there = _THERE_ALREADY.search(error.message)
            if not (is_there and any(isnan(point.value) for point in points)):
                raise

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set up to 100 tags of a run."""
        self._post("runs/log-batch", run_id=run_id, tags=_pairs(tags))

    def put_artifact(self, run_id: str, name: str, content: bytes) -> None:
        """Write a file of a run's artifacts, also over the same one.

        The server passes it on to whichever store the run's artifacts are in.
        """
        self._client.upload(
            "/ajax-api/2.0/mlflow/upload-artifact",
            content,
            {"run_uuid": run_id, "path": name},
            timeout_seconds=self._deadline.allot(),
            headers=self._headers,
        )

    def end_run(self, run_id: str, status: str, time_ms: int) -> None:
        """Mark a run as ended."""
        self._post("runs/update", run_id=run_id, status=status, end_time=time_ms)

    def _queries(self) -> Queries:
        return Queries(self._client, seconds_left=self._deadline.allot, headers=self._headers)

    def _part(self, answer: Any, *names: str) -> Any:
        """Return what *answer* has under these names, one in the other."""
        for name in names:
            if not isinstance(answer, dict) or not answer.get(name):
                raise TrackingNotMlflowError(
                    f"what answers at {self._client.address} is not MLflow: its answer has no "
                    f"{name}, see which server or proxy the tracking URI leads to"
                )
            answer = answer[name]
        return answer

    def _post(self, endpoint: str, **payload: Any) -> dict[str, Any]:
        return self._call("POST", endpoint, payload)

    def _call(self, method: str, endpoint: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        seconds = self._deadline.allot()
        return self._client.call(
            method, endpoint, payload, timeout_seconds=seconds, headers=self._headers
        )


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in values.items()]


def _json_number(value: float) -> float | str:
    # JSON has no such numbers: protobuf, which reads it in MLflow, takes these words for them.
    # https://protobuf.dev/programming-guides/json/
    if isfinite(value):
        return value
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
