"""One payload on its way to MLflow: what a run will hold, and how the outbox keeps it."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import count
from math import isnan
from typing import Any, NamedTuple
from uuid import uuid4

from flowgauge.airflow.context import Task
from flowgauge.airflow.mlflow_limits import (
    LONGEST_EXPERIMENT_NAME,
    LONGEST_PARAM,
    LONGEST_RUN_NAME,
    LONGEST_TAG,
    Fitting,
)
from flowgauge.airflow.payload import MOST_ROWS, ReadPayload
from flowgauge.airflow.reasons import Reason
from flowgauge.airflow.run_options import RunOptions, read_options
from flowgauge.airflow.values import Figure, Unfit, Values, called, guarded, told
from flowgauge.loading import loading
from flowgauge.store.log_calls import Logged
from flowgauge.store.outbox import NewEntry

__all__ = ["Entry", "Point", "make_entry"]

_VERSIONS = (1, 2)
_RUN_NAME_TAG = "mlflow.runName"
_ALTERED_TAG = "flowgauge.altered"
_FIGURES = ("rows", "null_rate")
_FACTS = ("checksum", "path", "source")
# The numbers of the calls to come; each is given away in one step, for threads.
_calls: dict[tuple[object, ...], Iterator[int]] = {}


class Point(NamedTuple):
    """A metric's value at one step."""

    name: str
    value: float
    step: int


class Entry(NamedTuple):
    """A run to be, already fitted to MLflow's limits.

    `log_id` is unique and becomes a tag of the run: it tells whether the run is there already.
    `logged_ms` is when the task logged it, in Unix milliseconds: start and end of the run, and the
    time of its metrics, however late it is sent. `altered` says that fitting changed something,
    `invalid` that values were left out, `spooled` that it came by way of a file, `once` that
    another try of the same task may log it again.

    It is added to the run `run_id`, if there is one; `status` is what the run becomes in the end,
    empty if it is not for us to end it. `experiment_id` is where its parent is. `artifacts` are
    files in base64, by the names that they get. `only_looks` says that it is none: it looks, later,
    whether one that has arrived has got a second run.
    """

    dag_id: str
    task_id: str
    logged_ms: int
    experiment: str
    run_name: str | None
    metrics: Mapping[str, Figure]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    log_id: str
    rows: int = 0
    null_rate: float | None = None
    altered: bool = False
    invalid: bool = False
    spooled: bool = False
    run_id: str | None = None
    experiment_id: str | None = None
    status: str = "FINISHED"
    start_ms: int | None = None
    end_ms: int | None = None
    step: int = 0
    once: bool = False
    artifacts: Mapping[str, str] | None = None
    only_looks: bool = False

    def to_json(self) -> str:
        """Return it as the outbox keeps it."""
        written = self._asdict()
        new = [name for name in _SINCE_2 if written[name] != self._field_defaults[name]]
        for name in _SINCE_2.difference(new):
            del written[name]
        has_steps = any(isinstance(figure, list) for figure in self.metrics.values())
        return json.dumps({"version": 2 if new or has_steps else 1, **written})

    @classmethod
    def from_json(cls, text: str) -> "Entry":
        """Read it back, also what 0.1 wrote; raise ValueError for what is no entry.

        Whoever may write to the store may write anything: what is read here can be sent.
        """
        # Only a log call that helps to empty the outbox needs them.
        with loading():
            from flowgauge.airflow.typed import is_well_typed  # noqa: PLC0415
            from flowgauge.foreign import parse_json  # noqa: PLC0415

        try:
            written = parse_json(text)
            if written.pop("version") in _VERSIONS:
                entry = cls(**written)
                if is_well_typed(entry):
                    return entry
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise ValueError("not an outbox entry of this version of flowgauge")

    def to_keep(self, reason: str | None) -> NewEntry:
        """Return what the outbox keeps of it; *reason* is why, if sending it has failed."""
        return NewEntry(self.log_id, self.dag_id, self.task_id, self.to_json(), reason)

    def points(self) -> Iterator[Point]:
        """Yield what its metrics are at each step."""
        for name, figure in self.metrics.items():
            for step, value in enumerate(
                figure if isinstance(figure, list) else [figure], self.step
            ):
                if value is not None:
                    yield Point(name, value, step)

    def logged(self, duration_seconds: float, reason: str | None = None) -> Logged:
        """Return what the store counts for it."""
        return Logged(
            dag_id=self.dag_id,
            task_id=self.task_id,
            duration_seconds=duration_seconds,
            # 0.1 took any number of rows.
            rows=min(self.rows, MOST_ROWS),
            # NaN says that there were no data to have nulls.
            null_ratio=None if self.null_rate is None or isnan(self.null_rate) else self.null_rate,
            altered=self.altered,
            left_out=Reason.INVALID_VALUE if self.invalid else None,
            reason=reason,
        )


# What 0.1 cannot read: an entry that needs none of it is written as 0.1 did, which may send it.
_SINCE_2 = frozenset(Entry._fields[Entry._fields.index("invalid") :])


def make_entry(
    read: ReadPayload,
    task: Task,
    *,
    run_name: object,
    experiment: object,
    tags: object,
    options: RunOptions,
    logged_ms: int,
) -> tuple[Entry, list[str]]:
    """Turn what was *read* into an entry, and say what of it was left out or changed.

    `rows`, `null_rate` and `metrics` become metrics; `checksum`, `path`, `source` and `params`
    become parameters; *task* and *tags* become tags, *tags* winning where both name one. *task*
    gives the names that are not given. What was left out or changed is in the tag
    `flowgauge.altered` too.
    """
    fit = Fitting()
    own: Mapping[str, Any] = read.payload
    metrics = {**own.get("metrics", {}), **_chosen(own, _FIGURES)}
    params = {**own.get("params", {}), **_chosen(own, _FACTS)}
    left_out = list(read.problems)
    shape = read_options(options, left_out)
    # A run that is added to has tags of its own.
    from_task = {} if shape.run_id else {**task.tags, **shape.parent_tags}
    labels = {**from_task, **_read_tags(tags, left_out)}
    name = _read_name("run_name", run_name, left_out) or task.label or labels.get(_RUN_NAME_TAG)
    given = _read_name("experiment", experiment, left_out)
    where = given or _default_experiment(task)
    # MLflow sets this tag from the name, and refuses a run whose two names differ.
    labels.pop(_RUN_NAME_TAG, None)
    entry = Entry(
        dag_id=task.dag_id,
        task_id=task.task_id,
        logged_ms=logged_ms,
        experiment=fit.text("experiment", where, LONGEST_EXPERIMENT_NAME),
        run_name=fit.text("run_name", name, LONGEST_RUN_NAME) if name else None,
        metrics=fit.names("metric", metrics),
        params=_texts(fit, "param", params, LONGEST_PARAM),
        tags=_texts(fit, "tag", labels, LONGEST_TAG),
        rows=own.get("rows", 0),
        null_rate=own.get("null_rate"),
        log_id=_id_of_task(task, where, name) if shape.once else uuid4().hex,
        invalid=bool(left_out),
        run_id=shape.run_id,
        experiment_id=None if given else shape.experiment_id,
        status=shape.status,
        start_ms=shape.start_ms,
        end_ms=shape.end_ms,
        step=shape.step,
        once=shape.once,
        artifacts=shape.artifacts or None,
    )
    notes = [*(f"left out: {problem}" for problem in left_out), *read.doubts, *fit.notes]
    if notes:
        note = {_ALTERED_TAG: Fitting().text("note", "; ".join(notes), LONGEST_TAG)}
        entry = entry._replace(tags={**entry.tags, **note}, altered=True)
    return entry, notes


def _read_tags(tags: object, left_out: list[str]) -> dict[str, str]:
    values = Values()
    read: dict[str, str] = {}
    try:
        pairs = guarded(lambda: values.pairs(tags))
    except Unfit as unfit:
        left_out.append(f"tags {unfit}")
        return {}
    if pairs is None:
        left_out.append(f"tags must map names to values, not be {told(tags)}")
    for name, value in pairs or ():
        try:
            key, fact = guarded(lambda n=name, v=value: (values.name(n), values.fact(v)))  # type: ignore[misc]
        except Unfit as unfit:
            left_out.append(f"tags[{called(name)}] {unfit}")
            continue
        if key in read:
            left_out.append(f"tags[{called(name)}] is there twice")
        else:
            read[key] = _as_text(fact)
    return read


def _read_name(what: str, value: object, left_out: list[str]) -> str | None:
    if value is None:
        return None
    try:
        return _as_text(guarded(lambda: Values().fact(value)))
    except Unfit as unfit:
        left_out.append(f"{what} {unfit}")
        return None


def _id_of_task(task: Task, experiment: str, run_name: str | None) -> str:
    """Return an id that is the same in every try of *task*, for the same call of it."""
    what = (task.dag_id, task.task_id, task.run_id, task.map_index, experiment, run_name)
    # What goes on after it was deferred is another process, which counts from one again.
    part = (*what, task.resumed_by) if task.resumed_by else what
    # Its second call by these names is another one.
    number = next(_calls.setdefault((*part, task.try_number), count(1)))
    return sha256(json.dumps((*part, number)).encode()).hexdigest()[:32]


def _default_experiment(task: Task) -> str:
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or task.dag_id or "Default"


def _chosen(payload: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: payload[name] for name in names if name in payload}


def _texts(fit: Fitting, kind: str, values: Mapping[str, Any], longest: int) -> dict[str, str]:
    return {
        name: fit.text(f"{kind} {name!r}", _as_text(value), longest)
        for name, value in fit.names(kind, values).items()
    }


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
