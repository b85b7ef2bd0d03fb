"""Reading the values that a task hands over, whatever they are.

A value may be of any class, also one whose every method raises. What cannot be read is `Unfit`, and
nothing else is raised. Classes of numpy, pandas and the like are known by what they can do: none of
them is imported.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, time, timedelta
from enum import Enum
from itertools import islice
from os import PathLike, fspath
from typing import Any, SupportsFloat, TypeVar

from flowgauge.redact import quote

__all__ = ["Figure", "Unfit", "Values", "called", "guarded", "in_full", "is_missing", "told"]

Figure = float | list[float | None]
"""One number, or one for each step."""

# More is data, which travel by their path; a value that refers to itself has no end at all.
_MOST_VALUES = 100_000
_MOST_FORGIVEN = 12
_DEEPEST = 32
# Python turns no longer integer into text.
_LONGEST_INTEGER_BITS = 14_000
_LONGEST_TOLD = 80
_MISSING = {"NAType", "NaTType", "MaskedConstant"}
_ATTEMPTS = 10

_T = TypeVar("_T")


class Unfit(ValueError):  # noqa: N818 - reads as what the value is
    """A value that cannot be taken; the message says why, after the name of the value."""


def guarded(read: Callable[[], _T]) -> _T:
    """Return what *read* returns; whatever it raises is `Unfit`."""
    try:
        return read()
    except Unfit:
        raise
    # Values raise what they like, and one that refers to itself RecursionError.
    except Exception as error:  # noqa: BLE001
        raise Unfit(f"cannot be read ({type(error).__name__})") from None


def called(name: object) -> str:
    """Return *name*, the name of a value or a file, for a message; raises nothing."""
    return quote(repr(name[:_LONGEST_TOLD]), _LONGEST_TOLD) if type(name) is str else told(name)


def told(value: object) -> str:
    """Return a few words on *value* for a message: a number as it is, else its class.

    A text is not repeated: it may be a password under a wrong name. Raises nothing.
    """
    if type(value) is str:
        return "a text"
    if value is None or type(value) in {bool, int, float}:
        # An integer may be too long for a text.
        with suppress(ValueError):
            return quote(repr(value), _LONGEST_TOLD)
    return type(value).__name__


def in_full(value: object) -> str:
    """Return *value* as Python writes it, or its class if that cannot be had; raises nothing."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - it is the value's own code
        return f"<{type(value).__name__}>"


def is_missing(value: Any) -> bool:
    """Return whether *value* stands for one that is missing: None, pandas' NA and NaT, masked."""
    if value is None or type(value).__name__ in _MISSING:
        return True
    # numpy's NaT is no equal of itself.
    return _numpy_kind(value) in {"m", "M"} and _dimensions(value) == 0 and bool(value != value)  # noqa: PLR0124


class Values:
    """Reads the values of one payload, of which there may be a hundred thousand.

    Every method raises `Unfit`, and what a value raises: see `guarded`.
    """

    def __init__(self) -> None:
        self._left = _MOST_VALUES
        self._forgiven = 0

    def number(self, value: Any, *, booleans: bool = False) -> float:
        """Return *value* as a number; a duration is its seconds."""
        plain = _scalar(value)
        if isinstance(plain, timedelta):
            return plain.total_seconds()
        # Text has no __float__, though float() would parse it.
        if isinstance(plain, SupportsFloat) and (booleans or not isinstance(plain, bool)):
            try:
                return float(plain)
            except OverflowError:
                raise Unfit("must be a number that fits into 64 bits: it is too large") from None
            # An array has a __float__ too.
            except Exception:  # noqa: BLE001, S110
                pass
        raise Unfit(f"must be a number, not {told(plain)}")

    def integer(self, value: Any) -> int | None:
        """Return the whole number that *value* is, exactly, or None if it is none."""
        plain = _scalar(value)
        if not self.number(plain).is_integer():
            return None
        # Not by way of a float, which rounds a 64-bit hash.
        return int(plain)

    def text(self, value: Any) -> str:
        """Return a text or a path as text."""
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, PathLike):
            return str(fspath(value))
        raise Unfit(f"must be text, not {told(value)}")

    def name(self, value: Any) -> str:
        """Return what *value* names something, where it is a text, a number, a date or a tuple."""
        if isinstance(value, tuple):
            return ".".join(self.name(part) for part in value)
        plain = _scalar(value)
        if isinstance(plain, str | int | float | date | time | Enum):
            return str(self._fact(plain, ()))
        raise Unfit("must be named by text")

    def pairs(self, value: Any) -> list[tuple[Any, Any]] | None:
        """Return names and values of a mapping or a pandas Series; None if it is neither."""
        if isinstance(value, Mapping) or _is_series(value):
            return self._take(value.items)
        return None

    def figures(self, name: str, value: Any, problems: dict[str, str]) -> Iterator[tuple[str, Any]]:
        """Yield the `Figure`s that *value* holds, by name; note what else it holds in *problems*.

        A number is one figure, a sequence of numbers one with steps; a mapping and a Series are
        figures called `name.key`. What is missing is no figure.
        """
        try:
            with self._on_its_own():
                yield from guarded(lambda: list(self._figures(name, value, problems, ())))
        except Unfit as unfit:
            problems[name] = str(unfit)

    def fact(self, value: Any) -> Any:
        """Return *value* in JSON's types, as text where it is of no such type."""
        with self._on_its_own():
            return self._fact(value, ())

    def _fact(self, value: Any, above: tuple[int, ...]) -> Any:
        self._count(1)
        plain = None if is_missing(value) else _scalar(value)
        if isinstance(plain, Mapping):
            below = self._below(plain, above)
            pairs = self._take(plain.items)
            return {self._key(key): self._fact(each, below) for key, each in pairs}
        if isinstance(plain, list | tuple):
            below = self._below(plain, above)
            return [self._fact(each, below) for each in self._take(plain.__iter__)]
        return _leaf(plain)

    def _figures(
        self, name: str, value: Any, problems: dict[str, str], above: tuple[int, ...]
    ) -> Iterator[tuple[str, Figure]]:
        self._count(1)
        if is_missing(value):
            return
        if not _is_counted_off(value) and (pairs := self.pairs(value)) is not None:
            below = self._below(value, above)
            for key, each in pairs:
                inner = f"{name}.{self._key(key)}"
                try:
                    yield from self._figures(inner, each, problems, below)
                except Unfit as unfit:
                    problems[inner] = str(unfit)
        elif (steps := self._steps(value)) is not None:
            if figures := self._each(name, steps, problems):
                yield name, figures
        else:
            yield name, self.number(value, booleans=True)

    def _steps(self, value: Any) -> list[Any] | None:
        if _dimensions(value) == 1 and hasattr(value, "tolist"):
            self._count(len(value))
            return list(value.tolist())
        if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
            return self._take(value.__iter__)
        return None

    def _each(
        self, name: str, steps: Sequence[Any], problems: dict[str, str]
    ) -> list[float | None]:
        figures: list[float | None] = []
        wrong: list[str] = []
        for place, step in enumerate(steps):
            try:
                figures.append(None if is_missing(step) else self.number(step, booleans=True))
            except Unfit as unfit:
                figures.append(None)
                wrong.append(f"{unfit} (at place {place})")
        if wrong:
            more = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
            problems[name] = wrong[0] + more
        return figures if any(figure is not None for figure in figures) else []

    def _take(self, iterate: Callable[[], Any]) -> list[Any]:
        """Return all that there is to iterate over, as it is at one moment."""
        for _ in range(_ATTEMPTS):
            # Another thread may add to it meanwhile.
            with suppress(RuntimeError):
                taken = list(islice(iterate(), max(self._left, 0) + 1))
                self._count(len(taken))
                return taken
        raise Unfit("kept changing while it was read: hand over a copy")

    def _key(self, key: Any) -> str:
        try:
            return self.name(key)
        except Unfit:
            return str.__str__(str(key))

    def _below(self, value: Any, above: tuple[int, ...]) -> tuple[int, ...]:
        if id(value) in above:
            raise Unfit("refers to itself")
        if len(above) == _DEEPEST:
            raise Unfit(f"is nested more than {_DEEPEST} levels deep")
        return (*above, id(value))

    @contextmanager
    def _on_its_own(self) -> Iterator[None]:
        """Have a value that turns out to be data cost no other, unless there are many such."""
        left = self._left
        try:
            yield
        finally:
            if self._left < 0 and self._forgiven < _MOST_FORGIVEN:
                self._forgiven += 1
                self._left = left

    def _count(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise Unfit(f"is data, of over {_MOST_VALUES:,} values: hand over their path instead")


def _scalar(value: Any) -> Any:
    """Return Python's own object for an array of no dimensions, such as a number of numpy's."""
    if _dimensions(value) != 0 or not hasattr(value, "item"):
        return value
    if _numpy_kind(value) in {"m", "M"}:
        # `item` would make a bare number of nanoseconds of it.
        return str(value)
    return value.item()


def _dimensions(value: Any) -> int | None:
    dimensions = getattr(value, "ndim", None)
    return dimensions if type(dimensions) is int else None


def _numpy_kind(value: Any) -> str:
    return str(getattr(getattr(value, "dtype", None), "kind", ""))


def _is_series(value: Any) -> bool:
    return _dimensions(value) == 1 and hasattr(value, "items") and hasattr(value, "index")


def _is_counted_off(value: Any) -> bool:
    """Return whether *value* is a Series without labels of its own: one number after the other."""
    return _is_series(value) and type(value.index).__name__ == "RangeIndex"


def _leaf(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, Enum):
        return _plain_number(value)
    # As MLflow's own log_param does with an object.
    return str.__str__(value if type(value) is str else str(value))


def _plain_number(value: Any) -> float:
    if isinstance(value, float):
        return float.__float__(value)
    if value.bit_length() > _LONGEST_INTEGER_BITS:
        raise Unfit("is an integer of more than 4,000 digits")
    return int.__int__(value)
