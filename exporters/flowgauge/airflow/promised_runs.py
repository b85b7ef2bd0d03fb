"""The runs of payloads that a task had to leave for later."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.uri import find_tracking_uri
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import TrackingRejectedError
from flowgauge.tracking.pages import mlflow_pages, tag_filter
from flowgauge.tracking.queries import Queries

__all__ = ["find_promised"]


def find_promised(
    experiments: Sequence[str], tags: Mapping[str, str], seconds: float
) -> str | None:
    """Return the address of the runs in the named *experiments* that have the *tags*.

    None if there is none yet. MLflow is the one that tasks would find here, asked for at most
    *seconds*. Raises `FlowgaugeError`.
    """
    deadline = Deadline(seconds)
    uri = find_tracking_uri(seconds)
    with TrackingClient(uri.value, environ=uri.environ()) as client:
        mlflow = Queries(client, seconds_left=deadline.allot)
        found: dict[str, str] = {}
        for name in experiments:
            with suppress(TrackingRejectedError):  # it is not there yet
                experiment_id = mlflow.experiment_id(name)
                runs = mlflow.runs([experiment_id], tag_filter(tags)).items
                found |= {run["info"]["run_id"]: experiment_id for run in runs}
        pages = mlflow_pages(client.address)
    if pages is None or not found:
        return None
    if len(found) == 1:
        return pages.run(*found)
    return pages.runs(set(found.values()), tags)
