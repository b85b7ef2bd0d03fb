"""Whether an entry that was read back holds what its fields say, which JSON does not see to."""

import re
from base64 import b64decode
from types import NoneType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowgauge.airflow.entry import Entry

__all__ = ["is_well_typed"]

_TEXTS = ("dag_id", "task_id", "experiment", "status", "log_id")
_OPTIONAL_TEXTS = ("run_name", "run_id", "experiment_id")
_INTEGERS = ("logged_ms", "step")
_OPTIONAL_INTEGERS = ("start_ms", "end_ms")
_FLAGS = ("altered", "invalid", "spooled", "once", "only_looks")
# It stands in a search of MLflow's.
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
# What becomes a float, and, of times and steps, what a database takes.
_LONGEST_NUMBER_BITS = 1023
_MOST_INTEGER = 2**63


def is_well_typed(entry: "Entry") -> bool:
    """Return whether every field of *entry* is of its kind, so that it can be sent."""

    def are(names: tuple[str, ...], *kinds: type) -> bool:
        return all(type(getattr(entry, name)) in kinds for name in names)

    integers = [getattr(entry, name) for name in (*_INTEGERS, *_OPTIONAL_INTEGERS)]
    return (
        are(_TEXTS, str)
        and are(_OPTIONAL_TEXTS, str, NoneType)
        and are((*_INTEGERS, "rows"), int)
        and are(_OPTIONAL_INTEGERS, int, NoneType)
        and are(_FLAGS, bool)
        and all(abs(each or 0) < _MOST_INTEGER for each in integers)
        and _is_number(entry.rows)
        and (entry.null_rate is None or _is_number(entry.null_rate))
        and _ID.fullmatch(entry.log_id) is not None
        and _can_be_kept(entry.dag_id)
        and _can_be_kept(entry.task_id)
        and are(("metrics", "params", "tags"), dict)
        and are(("artifacts",), dict, NoneType)
        and all(map(_is_figure, entry.metrics.values()))
        and all(type(each) is str for each in (*entry.params.values(), *entry.tags.values()))
        and all(map(_is_base64, (entry.artifacts or {}).values()))
    )


def _is_number(value: object) -> bool:
    return type(value) is float or (
        type(value) is int and value.bit_length() <= _LONGEST_NUMBER_BITS
    )


def _can_be_kept(text: str) -> bool:
    """Return whether a store takes it: half a pair of surrogates, as JSON may hold, is no text."""
    return text.encode(errors="replace").decode() == text


def _is_figure(value: object) -> bool:
    if isinstance(value, list):
        return all(each is None or _is_number(each) for each in value)
    return _is_number(value)


def _is_base64(value: object) -> bool:
    try:
        return isinstance(value, str) and b64decode(value, validate=True) is not None
    except ValueError:
        return False
