"""Delivery over MLflow's REST API.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

import os
import re
from collections.abc import Collection, Mapping
from math import isfinite, isnan
from typing import Any

from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.delivery import deliver
from flowgauge.airflow.entry import Entry
from flowgauge.dag_headers import dag_headers
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import TrackingRejectedError
from flowgauge.tracking.pages import Pages, mlflow_pages
from flowgauge.tracking.queries import Queries
from flowgauge.tracking.tags import LOG_ID_TAG

__all__ = ["RestConnection"]

# As SQLite's and MySQL's drivers call it, and PostgreSQL's.
_THERE_ALREADY = re.compile("IntegrityError|UniqueViolation")


class RestConnection:
    """One MLflow server, as `flowgauge.tracking.client` reaches it."""

    def __init__(self, uri: str, environ: Mapping[str, str] = os.environ) -> None:
        self._client = TrackingClient(uri, environ=environ)
        self._experiment_ids: dict[str, str] = {}

    def send(self, entry: Entry, *, again: bool, seconds: float) -> str:
        """Deliver *entry* within *seconds* and return its run id; raise `TrackingError`."""
        # Whoever sends it, it is the DAG's that logged it.
        headers = dag_headers(entry.dag_id, entry.task_id)
        tracking = _RestTracking(self._client, Deadline(seconds), headers)
        return deliver(tracking, entry, self._experiment_ids, again=again)

    def probe(self, seconds: float) -> None:
        """Return if it answers within *seconds*, else raise `TrackingError`."""
        Queries(self._client, seconds_left=Deadline(seconds).allot).probe()

    @property
    def pages(self) -> Pages | None:
        """Its pages for people."""
        return mlflow_pages(self._client.address)

    @property
    def experiment_ids(self) -> Collection[str]:
        """The experiments it sent to."""
        return set(self._experiment_ids.values())


class _RestTracking:
    """Keeps `Tracking`, every request with *headers* and within *deadline*."""

    def __init__(
        self, client: TrackingClient, deadline: Deadline, headers: Mapping[str, str]
    ) -> None:
        self._client = client
        self._deadline = deadline
        self._headers = headers

    def experiment_id(self, name: str) -> str:
        """Return the id of the experiment *name*, which is made if it is not there."""
        try:
            return self._find_experiment(name)
        except TrackingRejectedError as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        try:
            return str(self._post("experiments/create", name=name)["experiment_id"])
        except TrackingRejectedError as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # Another task was faster.
        return self._find_experiment(name)

    def _find_experiment(self, name: str) -> str:
        answer = self._call("GET", "experiments/get-by-name", {"experiment_name": name})
        return str(answer["experiment"]["experiment_id"])

    def create_run(self, experiment_id: str, entry: Entry) -> str:
        """Start a run with the entry's name, tags and time; return its id."""
        named = {"run_name": entry.run_name} if entry.run_name else {}
        answer = self._post(
            "runs/create",
            experiment_id=experiment_id,
            start_time=entry.logged_ms,
            tags=_pairs({**entry.tags, LOG_ID_TAG: entry.log_id}),
            **named,
        )
        return str(answer["run"]["info"]["run_id"])

    def find_runs(self, experiment_id: str, log_id: str) -> list[str]:
        """Return the ids of the runs tagged with *log_id*."""
        mlflow = Queries(self._client, seconds_left=self._deadline.allot, headers=self._headers)
        found = mlflow.runs([experiment_id], f"tags.`{LOG_ID_TAG}` = '{log_id}'")
        return [run["info"]["run_id"] for run in found.items]

    def delete_run(self, run_id: str) -> None:
        """Move a run to MLflow's trash."""
        self._post("runs/delete", run_id=run_id)

    def log_batch(
        self, run_id: str, metrics: Mapping[str, float], params: Mapping[str, str], time_ms: int
    ) -> None:
        """Add figures and facts to a run; adding the same ones again changes nothing."""
        try:
            self._post(
                "runs/log-batch",
                run_id=run_id,
                metrics=[
                    {"key": name, "value": _json_number(value), "timestamp": time_ms, "step": 0}
                    for name, value in metrics.items()
                ],
                params=_pairs(params),
            )
        except TrackingRejectedError as error:
            # Before 3.16 MLflow does not know a NaN again and stumbles over its own primary key.
            # It takes a batch as a whole, figures last: if one of them is there, all is.
            if not (_THERE_ALREADY.search(error.message) and any(map(isnan, metrics.values()))):
                raise

    def finish_run(self, run_id: str, time_ms: int) -> None:
        """Mark a run as finished."""
        self._post("runs/update", run_id=run_id, status="FINISHED", end_time=time_ms)

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
