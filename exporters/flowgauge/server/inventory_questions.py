"""What is asked of MLflow's databases, in SQL that all of them understand."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text

from flowgauge import metrics
from flowgauge.dag_headers import OTHER
from flowgauge.server.mlflow_host import JOB_NAMES, JOB_STATUSES

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["COUNTED", "Row", "answers"]

Row = list[Any]
"""Values of a metric's labels, and its value."""

# Of one question: where it takes longer, there is other work to do.
_PATIENCE_SECONDS = 20
_MOST_ALIASES = 20

_WORDS = {
    # MLflow keeps prompts among the registered models.
    "no_prompt": """name NOT IN (
        SELECT tag.name FROM registered_model_tags AS tag
        WHERE tag.key = 'mlflow.prompt.is_prompt' AND tag.value = 'true')""",
    "pending": str(JOB_STATUSES.index("PENDING")),
}


def _as_they_are(rows: Iterable[Row]) -> Iterable[Row]:
    return rows


def _most_used(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the first rows, and the sum of the others: anybody may name an alias."""
    others = []
    for number, row in enumerate(rows):
        if number < _MOST_ALIASES:
            yield row
        else:
            others.append(row[-1])
    if others:
        yield [OTHER, sum(others)]


def _of_every_status(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield each job's count of every status, also of those it has none in: 0 is a number."""
    found = {(name, int(status)): count for name, status, count in rows}
    for name in dict.fromkeys(name for name, _ in found):
        for number, status in enumerate(JOB_STATUSES):
            yield [name, status, found.get((name, number), 0.0)]


@dataclass(frozen=True)
class _Question:
    """One metric's rows of label values and a number; none where the database lacks *table*."""

    metric: metrics.Metric
    table: str
    sql: str
    shaped: Callable[[Iterable[Row]], Iterable[Row]] = _as_they_are


_QUESTIONS: Mapping[str, tuple[_Question, ...]] = {
    "tracking": (
        _Question(
            metrics.EXPERIMENTS,
            "experiments",
            "SELECT lifecycle_stage, count(*) FROM experiments GROUP BY lifecycle_stage",
        ),
        _Question(
            metrics.RUNS,
            "runs",
            "SELECT lifecycle_stage, status, count(*) FROM runs GROUP BY lifecycle_stage, status",
        ),
        _Question(metrics.TRACES, "trace_info", "SELECT count(*) FROM trace_info"),
        _Question(
            metrics.JOBS,
            "jobs",
            "SELECT {job_name}, status, count(*) FROM jobs GROUP BY {job_name}, status",
            _of_every_status,
        ),
        # One that is tried again waits since then.
        _Question(
            metrics.JOBS_OLDEST_PENDING,
            "jobs",
            "SELECT {job_name}, min(last_update_time) / 1000.0 FROM jobs"
            " WHERE status = {pending} GROUP BY {job_name}",
        ),
    ),
    "registry": (
        _Question(
            metrics.REGISTERED_MODELS,
            "registered_models",
            "SELECT count(*) FROM registered_models WHERE {no_prompt}",
        ),
        _Question(
            metrics.MODEL_VERSIONS,
            "model_versions",
            "SELECT current_stage, count(*) FROM model_versions"
            " WHERE current_stage <> 'Deleted_Internal' AND {no_prompt} GROUP BY current_stage",
        ),
        _Question(
            metrics.MODEL_ALIASES,
            "registered_model_aliases",
            "SELECT alias, count(*) FROM registered_model_aliases"
            " WHERE {no_prompt} GROUP BY alias ORDER BY count(*) DESC, alias",
            _most_used,
        ),
    ),
    "auth": (_Question(metrics.USERS, "users", "SELECT count(*) FROM users"),),
}

COUNTED = tuple(question.metric for asked in _QUESTIONS.values() for question in asked)
"""The metrics that databases are asked for."""


def answers(connection: "Connection", database: str) -> Iterator[tuple[str, list[Row]]]:
    """Yield, for each metric that *database* (`tracking`, `registry`, `auth`) tells, its rows.

    What its MLflow is too old for is left out. Raises SQLAlchemy's errors.
    """
    with connection.begin():
        tables = frozenset(inspect(connection).get_table_names())
        words = {**_WORDS, **(_words_of_jobs(connection) if "jobs" in tables else {})}
    for question in _QUESTIONS[database]:
        if question.table in tables:
            rows = _rows(connection, question.sql.format_map(words))
            yield question.metric.name, list(question.shaped(rows))


def _words_of_jobs(connection: "Connection") -> Mapping[str, str]:
    columns = {column["name"] for column in inspect(connection).get_columns("jobs")}
    return {"job_name": next(name for name in JOB_NAMES if name in columns)}


def _rows(connection: "Connection", sql: str) -> list[Row]:
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL statement_timeout = '{_PATIENCE_SECONDS}s'"))
        found = connection.execute(text(sql))
        return [[*map(str, labels), float(value)] for *labels, value in found]
