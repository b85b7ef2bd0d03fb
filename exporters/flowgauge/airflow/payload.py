"""What a task reports about its data: `ExtractPayload`, and how it is read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict, cast

from flowgauge.airflow.values import Figure, Unfit, Values, called, guarded, is_missing, told
from flowgauge.errors import FlowgaugeError
from flowgauge.loading import loading
from flowgauge.redact import quote

__all__ = [
    "MOST_ROWS",
    "ExtractPayload",
    "PayloadError",
    "ReadPayload",
    "read_payload",
    "validate_payload_schema",
]

# Beyond this a number that counts cannot tell one row from none.
MOST_ROWS = 2**53
_MOST_SENTENCES = 50


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
    metrics: Mapping[str, float | Sequence[float | None]]
    """More figures, by name; None stands for one that is missing. A list is one figure at steps."""
    params: Mapping[str, Any]
    """More facts, by name."""


class PayloadError(FlowgaugeError):
    """A payload that cannot be logged; `problems` has a sentence for every value at fault."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(f"the payload is invalid: {'; '.join(problems)}")


class ReadPayload(NamedTuple):
    """What could be read of a payload.

    `problems` has a sentence for each value that was left out, `doubts` one for each that was taken
    but may have been meant otherwise.
    """

    payload: ExtractPayload
    problems: list[str]
    doubts: list[str]


def validate_payload_schema(payload: Mapping[str, Any]) -> ExtractPayload:
    """Return *payload* in plain JSON types, or raise `PayloadError` naming every mistake in it.

    Accepted wherever the meaning is plain: the numbers of numpy, pandas and decimal, booleans,
    paths as objects, dates (in ISO 8601). A number under a name of its own, such as `accuracy`, is
    a metric, anything else a parameter. A list of numbers is a metric with steps, a mapping or a
    Series of numbers are metrics called `name.key`. A value that is None counts as absent.
    """
    read = read_payload(payload)
    if problems := read.problems + read.doubts:
        raise PayloadError(problems)
    return read.payload


def read_payload(payload: object) -> ReadPayload:
    """Return what can be read of *payload*, in plain JSON types.

    Raises `PayloadError` if it maps no names to values at all, and nothing else.
    """
    reading = _Reading()
    try:
        pairs = guarded(lambda: reading.values.pairs(payload))
    except Unfit as unfit:
        raise PayloadError([f"it {unfit}"]) from None
    if pairs is None:
        raise PayloadError([f"it must be a mapping, not {told(payload)}"])
    for name, value in pairs:
        reading.take(name, value)
    return reading.result()


class _Reading:
    """One payload, while it is read."""

    def __init__(self) -> None:
        self.values = Values()
        self._fields: dict[str, Any] = {}
        self._metrics: dict[str, Figure] = {}
        self._params: dict[str, Any] = {}
        self._problems: list[str] = []
        self._doubts: list[str] = []
        self._extras: list[tuple[str, Any]] = []
        self._named: set[str] = set()

    def take(self, name: Any, value: Any) -> None:
        """Read one field, or keep it for `result` if it is none."""
        try:
            if guarded(lambda: is_missing(value)):
                return
            name = guarded(lambda: self.values.name(name))
            if name in _READERS:
                self._named.add(name)
                guarded(lambda: _READERS[name](self, name, value))
            else:
                self._extras.append((name, value))
        except Unfit as unfit:
            self._problems.append(f"{called(name) if name not in _READERS else name} {unfit}")

    def result(self) -> ReadPayload:
        """Return what was read; values under other names give way to fields."""
        for name, value in self._extras:
            self._take_extra(name, value)
        fields = dict(self._fields)
        if self._metrics or "metrics" in self._named:
            fields["metrics"] = self._metrics
        if self._params or "params" in self._named:
            fields["params"] = self._params
        return ReadPayload(
            cast("ExtractPayload", fields), _shortened(self._problems), _shortened(self._doubts)
        )

    def rows(self, name: str, value: Any) -> None:
        """Read the field `rows`."""
        if not self._are_by_key(name, value):
            number = self.values.number(value)
            rows = self.values.integer(value) if abs(number) <= MOST_ROWS else None
            if rows is None or rows < 0:
                raise Unfit(f"must be a whole number of 0 or more, up to 2**53, not {told(value)}")
            self._fields[name] = rows

    def share(self, name: str, value: Any) -> None:
        """Read a field that is a share."""
        if not self._are_by_key(name, value):
            number = self.values.number(value)
            if number < 0 or number > 1:
                raise Unfit(f"must be a share from 0 to 1, not {told(number)}")
            self._fields[name] = number

    def checksum(self, name: str, value: Any) -> None:
        """Read the field `checksum`."""
        if isinstance(value, str):
            self._fields[name] = self.values.text(value)
        elif isinstance(value, bytes):
            self._fields[name] = value.hex()
        else:
            number = self.values.number(value)
            whole = self.values.integer(value)
            self._fields[name] = number if whole is None else self.values.fact(whole)

    def text(self, name: str, value: Any) -> None:
        """Read a field that is a text."""
        self._fields[name] = self.values.text(value)

    def metrics(self, name: str, value: Any) -> None:
        """Read the field `metrics`."""
        for key, each in self._by_name(name, value):
            problems: dict[str, str] = {}
            for figure_name, figure in self.values.figures(key, each, problems):
                self._put(name, self._metrics, figure_name, figure)
            self._problems += [f"{name}[{called(at)}] {what}" for at, what in problems.items()]

    def params(self, name: str, value: Any) -> None:
        """Read the field `params`."""
        for key, each in self._by_name(name, value):
            try:
                fact = guarded(lambda each=each: self.values.fact(each))  # type: ignore[misc]
                self._put(name, self._params, key, fact)
            except Unfit as unfit:
                self._problems.append(f"{name}[{called(key)}] {unfit}")

    def _by_name(self, name: str, value: Any) -> list[tuple[str, Any]]:
        pairs = self.values.pairs(value)
        if pairs is None:
            raise Unfit(f"must map names to values, not be {told(value)}")
        named = []
        for key, each in pairs:
            try:
                named.append((guarded(lambda key=key: self.values.name(key)), each))  # type: ignore[misc]
            except Unfit as unfit:
                self._problems.append(f"{name}[{called(key)}] {unfit}")
        return named

    def _are_by_key(self, name: str, value: Any) -> bool:
        """Take what the field *name* has a number for each key of as metrics: `null_rate.age`."""
        if self.values.pairs(value) is None:
            return False
        problems: dict[str, str] = {}
        for figure_name, figure in self.values.figures(name, value, problems):
            self._put("metrics", self._metrics, figure_name, figure)
        self._problems += [f"{quote(at)} {what}" for at, what in problems.items()]
        return True

    def _take_extra(self, name: str, value: Any) -> None:
        problems: dict[str, str] = {}
        figures = list(self.values.figures(name, value, problems))
        try:
            if problems:
                fact = guarded(lambda: self.values.fact(value))
                self._put("params", self._params, name, fact)
            for figure_name, figure in figures if not problems else ():
                self._put("metrics", self._metrics, figure_name, figure)
        except Unfit as unfit:
            self._problems.append(f"{called(name)} {unfit}")
        # Many a payload needs it not.
        with loading():
            from difflib import get_close_matches  # noqa: PLC0415

        if near := get_close_matches(name, _READERS, n=1, cutoff=0.75):
            kind = "parameter" if problems else "metric"
            self._doubts.append(
                f"{quote(name)} is no field (did you mean {near[0]}?): taken as a {kind}"
            )

    def _put(self, field_name: str, into: dict[str, Any], name: str, value: Any) -> None:
        if name in into:
            self._problems.append(f"{field_name}[{called(name)}] is there twice")
        else:
            into[name] = value


def _shortened(sentences: list[str]) -> list[str]:
    more = len(sentences) - _MOST_SENTENCES
    return sentences if more <= 0 else [*sentences[:_MOST_SENTENCES], f"and {more} more"]


_READERS: Mapping[str, Callable[[_Reading, str, Any], None]] = {
    "rows": _Reading.rows,
    "null_rate": _Reading.share,
    "checksum": _Reading.checksum,
    "path": _Reading.text,
    "source": _Reading.text,
    "metrics": _Reading.metrics,
    "params": _Reading.params,
}
