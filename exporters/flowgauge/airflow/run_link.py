"""The link from a task in Airflow's UI to its runs in MLflow's.

It is one XCom, which whoever makes the page reads: the address of the task's run, or of the list
of its runs. Where MLflow was away it is a promise instead, which says where to look for them later.
"""

import json
import logging
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowgauge.airflow.context import Task
from flowgauge.airflow.host.services import push_xcom
from flowgauge.loading import loading
from flowgauge.redact import spell_error
from flowgauge.tracking.tags import DAG_ID_TAG, MAP_INDEX_TAG, RUN_ID_TAG, TASK_ID_TAG

if TYPE_CHECKING:
    from flowgauge.tracking.pages import Pages

__all__ = [
    "XCOM_KEY",
    "note_kept_payload",
    "note_plain_run",
    "push_last_link",
    "push_run_link",
    "web_link",
]

XCOM_KEY = "mlflow_run_url"
_PROMISE = "mlflow-runs:"
_LONGEST_SECONDS = 2.0
# What tells the runs of a task instance from all others, whichever try made them.
_IDENTITY = (DAG_ID_TAG, TASK_ID_TAG, RUN_ID_TAG, MAP_INDEX_TAG)
_log = logging.getLogger(__name__)


@dataclass
class _Noted:
    """What one task instance did in this process."""

    tags: dict[str, str]
    pages: "Pages | None" = None
    runs: set[str] = field(default_factory=set)
    experiment_ids: set[str] = field(default_factory=set)
    plain_runs: int = 0
    kept_in: set[str] = field(default_factory=set)

    @property
    def link(self) -> str | None:
        """The address that shows all that is known of it."""
        if self.pages is None or not self.experiment_ids:
            return None
        if len(self.runs) == 1 and not self.kept_in and self.plain_runs <= 1:
            return self.pages.run(*self.runs)
        return self.pages.runs(self.experiment_ids, self.tags)


_noted = _Noted({})


def _notes(task: Task) -> _Noted:
    """Return what is noted of *task*: of one at a time, for others of this process have ended."""
    global _noted  # noqa: PLW0603 - a process runs one task
    tags = {name: tag for name, tag in task.tags.items() if name in _IDENTITY}
    if tags != _noted.tags:
        _noted = _Noted(tags)
    return _noted


def push_run_link(task: Task, connection: Any, run_id: str, seconds: float) -> None:
    """Leave a link to the task's run, and to its earlier ones, where Airflow finds it.

    *connection* is the MLflow that the run is in. Takes at most *seconds*, and no more than two: a
    link is not worth a task's time.
    """
    notes = _notes(task)
    notes.pages = connection.pages
    notes.runs.add(run_id)
    notes.experiment_ids.update(connection.experiment_ids)
    _push(task, notes.link, seconds)


def note_kept_payload(task: Task, experiment: str) -> None:
    """Remember that a run in *experiment* will be made later, by others."""
    _notes(task).kept_in.add(experiment)


def note_plain_run(task: Task) -> None:
    """Remember that a run is being started by MLflow's own functions."""
    if task.instance is not None:
        _notes(task).plain_runs += 1


def push_last_link(task: Task) -> None:
    """Leave the link at the end of a task, for what had none yet: plain runs, kept payloads."""
    notes = _notes(task)
    if notes.plain_runs and "mlflow" in sys.modules:
        _look_at_mlflow(notes)
    elif not notes.kept_in:
        return
    link = notes.link
    if link is None and notes.kept_in:
        link = _PROMISE + json.dumps({"experiments": sorted(notes.kept_in), "tags": notes.tags})
    _push(task, link, _LONGEST_SECONDS)


def web_link(left: str) -> str:
    """Return what may be made a link of what a task *left* as XCom, empty if nothing.

    A promise is looked up in MLflow, within two seconds: there is no link before there is a run.
    """
    from flowgauge.tracking.pages import is_web_address  # noqa: PLC0415 - no task asks

    if is_web_address(left):
        return left
    if not left.startswith(_PROMISE):
        return ""
    # Loads the HTTP client.
    from flowgauge.airflow.promised_runs import find_promised  # noqa: PLC0415

    try:
        promise = json.loads(left.removeprefix(_PROMISE))
        return find_promised(promise["experiments"], promise["tags"], _LONGEST_SECONDS) or ""
    # Whatever a DAG's author left there, and whatever MLflow answers, the page is shown.
    except Exception as error:  # noqa: BLE001
        _log.debug("No link to a run in MLflow\n%s", spell_error(error))
        return ""


def _push(task: Task, link: str | None, seconds: float) -> None:
    if task.instance is not None and link is not None:
        push_xcom(task.instance, XCOM_KEY, link, min(seconds, _LONGEST_SECONDS))


def _look_at_mlflow(notes: _Noted) -> None:
    """Note the run that MLflow's own functions had last."""
    mlflow: Any = sys.modules["mlflow"]
    # Loads the HTTP client that MLflow has loaded already.
    with loading():
        from flowgauge.airflow.time_budget import mlflow_within  # noqa: PLC0415
        from flowgauge.tracking.pages import mlflow_pages  # noqa: PLC0415

    try:
        with mlflow_within(_LONGEST_SECONDS):
            run = mlflow.last_active_run()
        if run is not None:
            notes.pages = notes.pages or mlflow_pages(mlflow.get_tracking_uri())
            notes.runs.add(run.info.run_id)
            notes.experiment_ids.add(run.info.experiment_id)
    # MLflow raises what it likes, and the task has done its work.
    except Exception as error:  # noqa: BLE001
        _log.debug("MLflow does not tell its last run\n%s", spell_error(error))
