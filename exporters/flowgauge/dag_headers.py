"""How a request says for which DAG and task it is made: what tasks send and the server reads.

Two headers, percent-encoded, for a name of Airflow's may hold letters that HTTP cannot send. The
server believes nothing about them: whoever reaches it may send any.
"""

import re
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

__all__ = [
    "DAG_ID_HEADER",
    "OTHER",
    "TASK_ID_HEADER",
    "Pair",
    "dag_headers",
    "is_name",
    "pair_of",
]

DAG_ID_HEADER = "Flowgauge-Dag-Id"
TASK_ID_HEADER = "Flowgauge-Task-Id"

Pair = tuple[str, str]
"""A DAG's id and that of a task of it, which a callback of the whole DAG has not."""

OTHER = "other"
"""What stands in labels for every name that has none of its own."""

# Airflow's own rule for them.
_LONGEST = 250
_NAME = re.compile(rf"[\w.-]{{1,{_LONGEST}}}")
# Percent-encoded, a letter takes twelve characters at most.
_LONGEST_SENT = 12 * _LONGEST


def dag_headers(dag_id: str, task_id: str) -> dict[str, str]:
    """Return the headers of a request for *task_id* of *dag_id*; none without a DAG."""
    if not dag_id:
        return {}
    named = {DAG_ID_HEADER: _sent(dag_id)}
    return {**named, TASK_ID_HEADER: _sent(task_id)} if task_id else named


def is_name(text: str) -> bool:
    """Return whether Airflow would take *text* for the id of a DAG or a task."""
    return _NAME.fullmatch(text) is not None


def pair_of(dag_id: bytes, task_id: bytes) -> Pair:
    """Return whom two headers name, the second empty if it is missing.

    What no DAG and task can be called is the pair `other`, `other`.
    """
    # Before it is remembered: a stranger's may be as long as the server lets it be.
    if len(dag_id) > _LONGEST_SENT or len(task_id) > _LONGEST_SENT:
        return OTHER, OTHER
    return _pair_of(dag_id, task_id)


@lru_cache(2048)
def _pair_of(dag_id: bytes, task_id: bytes) -> Pair:
    dag, task = _read(dag_id), _read(task_id)
    if dag is None or task is None or not is_name(dag) or not (is_name(task) or not task_id):
        return OTHER, OTHER
    return dag, task


@lru_cache(256)
def _sent(name: str) -> str:
    return quote(name, safe="")


def _read(sent: bytes) -> str | None:
    try:
        return unquote_to_bytes(sent).decode()
    except UnicodeDecodeError:
        return None
