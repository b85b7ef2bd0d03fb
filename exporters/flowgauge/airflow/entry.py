"""One payload on its way to MLflow: what a run will hold, and how the outbox keeps it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from math import isnan
from typing import Any
from uuid import uuid4

from flowgauge.airflow.context import Task
from flowgauge.airflow.mlflow_limits import (
    LONGEST_EXPERIMENT_NAME,
    LONGEST_PARAM,
    LONGEST_RUN_NAME,
    LONGEST_TAG,
    Fitting,
)
from flowgauge.airflow.payload import ExtractPayload, PayloadError
from flowgauge.store.log_calls import Logged
from flowgauge.store.outbox import NewEntry

__all__ = ["Entry", "make_entry"]

_VERSION = 1
_RUN_NAME_TAG = "mlflow.runName"
_ALTERED_TAG = "flowgauge.altered"
_FIGURES = ("rows", "null_rate")
_FACTS = ("checksum", "path", "source")


@dataclass(frozen=True)
class Entry:
    """A run to be, already fitted to MLflow's limits.

    `log_id` is unique and becomes a tag of the run: it tells whether the run is there already.
    `logged_ms` is when the task logged it, in Unix milliseconds: start and end of the run, and the
    time of its metrics, however late it is sent. `altered` says that fitting changed something.
    """

    dag_id: str
    task_id: str
    logged_ms: int
    experiment: str
    run_name: str | None
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    rows: int = 0
    null_rate: float | None = None
    altered: bool = False
    log_id: str = field(default_factory=lambda: uuid4().hex)

    def to_json(self) -> str:
        """Return it as the outbox keeps it."""
        return json.dumps({"version": _VERSION, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> "Entry":
        """Read it back; raise ValueError for what is no entry of this version."""
        try:
            fields = json.loads(text)
            if fields.pop("version") == _VERSION:
                return cls(**fields)
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise ValueError("not an outbox entry of this version of flowgauge")

    def to_keep(self, reason: str | None) -> NewEntry:
        """Return what the outbox keeps of it; *reason* is why, if sending it has failed."""
        return NewEntry(self.log_id, self.dag_id, self.task_id, self.to_json(), reason)

    def logged(self, duration_seconds: float, reason: str | None = None) -> Logged:
        """Return what the store counts for it."""
        return Logged(
            dag_id=self.dag_id,
            task_id=self.task_id,
            duration_seconds=duration_seconds,
            rows=self.rows,
            # NaN says that there were no data to have nulls.
            null_ratio=None if self.null_rate is None or isnan(self.null_rate) else self.null_rate,
            altered=self.altered,
            reason=reason,
        )


def make_entry(
    payload: ExtractPayload,
    task: Task,
    *,
    run_name: str | None,
    experiment: str,
    tags: Mapping[str, Any],
    logged_ms: int,
) -> tuple[Entry, list[str]]:
    """Turn *payload* into an entry, and say what of it had to be changed to suit MLflow.

    `rows`, `null_rate` and `metrics` become metrics; `checksum`, `path`, `source` and `params`
    become parameters; *task* and *tags* become tags, *tags* winning where both name one. What had
    to be changed is in the tag `flowgauge.altered` too. Raises `PayloadError` for *tags* that are
    no tags.
    """
    fit = Fitting()
    own: Mapping[str, Any] = payload
    metrics = {**own.get("metrics", {}), **_chosen(own, _FIGURES)}
    params = {**own.get("params", {}), **_chosen(own, _FACTS)}
    if not isinstance(tags, Mapping):
        raise PayloadError([f"tags must map names to values, not be {type(tags).__name__}"])
    labels = {**task.tags, **{str(name): value for name, value in tags.items()}}
    name = run_name or labels.get(_RUN_NAME_TAG)
    # MLflow sets this tag from the name, and refuses a run whose two names differ.
    labels.pop(_RUN_NAME_TAG, None)
    entry = Entry(
        dag_id=task.dag_id,
        task_id=task.task_id,
        logged_ms=logged_ms,
        experiment=fit.text("experiment", str(experiment), LONGEST_EXPERIMENT_NAME),
        run_name=fit.text("run_name", str(name), LONGEST_RUN_NAME) if name else None,
        metrics=fit.names("metric", metrics),
        params=_texts(fit, "param", params, LONGEST_PARAM),
        tags=_texts(fit, "tag", labels, LONGEST_TAG),
        rows=own.get("rows", 0),
        null_rate=own.get("null_rate"),
    )
    if fit.notes:
        note = {_ALTERED_TAG: "; ".join(fit.notes)[:LONGEST_TAG]}
        entry = replace(entry, tags={**entry.tags, **note}, altered=True)
    return entry, fit.notes


def _chosen(payload: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    return {name: payload[name] for name in fields if name in payload}


def _texts(fit: Fitting, kind: str, values: Mapping[str, Any], longest: int) -> dict[str, str]:
    return {
        name: fit.text(f"{kind} {name!r}", _as_text(value), longest)
        for name, value in fit.names(kind, values).items()
    }


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
