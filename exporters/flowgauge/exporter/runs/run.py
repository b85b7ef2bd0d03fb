"""What counts of a run of MLflow."""

from collections.abc import Mapping
from sys import intern
from typing import Any, NamedTuple

from flowgauge.dag_headers import OTHER, is_name
from flowgauge.tracking.tags import DAG_ID_TAG

__all__ = ["DAY_MS", "RUNNING", "Run", "run_from"]

DAY_MS = 24 * 3600 * 1000
RUNNING = "RUNNING"


class Run(NamedTuple):
    """A run that is tagged with a DAG; `dag_id` is `other` where Airflow would call no DAG so."""

    run_id: str
    experiment_id: str
    dag_id: str
    status: str
    start_ms: int
    end_ms: int | None
    deleted: bool


def run_from(found: Mapping[str, Any]) -> Run:
    """Return what counts of a run that a search found by the tag."""
    info, tags = found["info"], found["data"]["tags"]
    # MLflow found it by the tag: what else answers may have left it out.
    tagged = next((tag["value"] for tag in tags if tag["key"] == DAG_ID_TAG), OTHER)
    ended = info.get("end_time")
    # There are thousands of runs, and few names.
    return Run(
        run_id=str(info["run_id"]),
        experiment_id=intern(str(info["experiment_id"])),
        dag_id=intern(tagged) if is_name(tagged) else OTHER,
        status=intern(str(info["status"])),
        start_ms=int(info.get("start_time") or 0),
        end_ms=int(ended) if ended else None,
        deleted=info.get("lifecycle_stage") == "deleted",
    )
