"""What a task reports about its data: `ExtractPayload`, and the check that names every mistake."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, time, timedelta
from difflib import get_close_matches
from os import PathLike, fspath
from typing import Any, SupportsFloat, TypedDict, cast

from flowgauge.errors import FlowgaugeError

__all__ = ["ExtractPayload", "PayloadError", "validate_payload_schema"]


class ExtractPayload(TypedDict, total=False):
    """Figures and facts about one step's data; every field is optional.

    Plain JSON, so that it travels between tasks through XCom. Data do not: pass their `path`.
    """

    rows: int
    """Rows in the data, 0 or more."""
    null_rate: float
    """Share of nulls in the data, 0 to 1; NaN where there is no data to have nulls."""
    checksum: str | int | float
    """What the data hash to: logged as a parameter, for MLflow's metrics round above 2**53."""
    path: str
    """Where the data lie."""
    source: str
    """Where the data come from."""
    metrics: Mapping[str, float]
    """More figures, by name; None stands for one that is missing."""
    params: Mapping[str, Any]
    """More facts, by name."""


class PayloadError(FlowgaugeError):
    """A payload that cannot be logged; `problems` has a sentence for every field at fault."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(f"the payload is invalid: {'; '.join(problems)}")


def validate_payload_schema(payload: Mapping[str, Any]) -> ExtractPayload:
    """Return *payload* in plain JSON types, or raise `PayloadError` naming every mistake in it.

    Accepted wherever the meaning is plain: numpy's and decimal's numbers, paths as objects, dates
    (in ISO 8601). A field that is None counts as absent.
    """
    if not isinstance(payload, Mapping):
        raise PayloadError([f"it must be a mapping, not {_kind(payload)}"])
    problems: list[str] = []
    plain: dict[str, Any] = {}
    for name, value in payload.items():
        if name not in _READERS:
            problems.append(_unknown(name))
        elif value is not None:
            try:
                plain[name] = _READERS[name](value)
            except _FieldError as error:
                problems.extend(f"{name}{where} {what}" for where, what in error.problems.items())
    if problems:
        raise PayloadError(problems)
    return cast("ExtractPayload", plain)


class _FieldError(ValueError):
    """What is wrong, by place inside the field: `""` for the field itself, else `[key]`."""

    def __init__(self, what: str = "", *, problems: dict[str, str] | None = None) -> None:
        self.problems = problems or {"": what}


def _rows(value: Any) -> int:
    number = _number(value)
    if number < 0 or not number.is_integer():
        raise _FieldError(f"must be a whole number of 0 or more, not {value}")
    return int(value)


def _share(value: Any) -> float:
    number = _number(value)
    if number < 0 or number > 1:
        raise _FieldError(f"must be a share from 0 to 1, not {value}")
    return number


def _number(value: Any) -> float:
    # numpy, decimal and fractions know __float__; text does not, though float() would parse it.
    if isinstance(value, SupportsFloat) and not isinstance(value, bool):
        # An array has __float__ too, and a huge integer does not fit.
        with suppress(TypeError, ValueError, OverflowError):
            return float(value)
    raise _FieldError(f"must be a number, not {_kind(value)}")


def _text(value: Any) -> str:
    if isinstance(value, str | PathLike):
        return str(fspath(value))
    raise _FieldError(f"must be text, not {_kind(value)}")


def _checksum(value: Any) -> str | int | float:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    number = _number(value)
    # int() of the value itself, for float() of a 64-bit hash has rounded it.
    return int(value) if number.is_integer() else number


def _fact(value: Any) -> Any:
    if isinstance(value, str | bool | int | float | None):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): _fact(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_fact(each) for each in value]
    # As MLflow's own log_param does with an object.
    return str(value)


def _figures(value: Any) -> dict[str, float]:
    figures: dict[str, float] = {}
    problems: dict[str, str] = {}
    for name, figure in _named(value).items():
        if figure is None:
            continue
        try:
            figures[name] = _number(figure)
        except _FieldError as error:
            problems[f"[{name!r}]"] = error.problems[""]
    if problems:
        raise _FieldError(problems=problems)
    return figures


def _facts(value: Any) -> dict[str, Any]:
    return {name: _fact(fact) for name, fact in _named(value).items()}


def _named(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _FieldError(f"must map names to values, not be {_kind(value)}")
    wrong = {f"[{name!r}]": "must be named by text" for name in value if not isinstance(name, str)}
    if wrong:
        raise _FieldError(problems=wrong)
    return value


def _unknown(name: object) -> str:
    near = get_close_matches(str(name), _READERS, n=1, cutoff=0.75)
    advice = f"did you mean {near[0]}?" if near else "put figures in metrics, other facts in params"
    return f"{name} is no field ({advice})"


def _kind(value: object) -> str:
    return f"{value!r}" if isinstance(value, str | bool | None) else type(value).__name__


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "rows": _rows,
    "null_rate": _share,
    "checksum": _checksum,
    "path": _text,
    "source": _text,
    "metrics": _figures,
    "params": _facts,
}
