import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowgauge.airflow import PayloadError, validate_payload_schema, values
from flowgauge.airflow.payload import read_payload


class _Colour(Enum):
    RED = 1


_FLAT = {"metrics": {"accuracy": 0.5}, "params": {"model": "xgb"}}
_BY_KEY = {"metrics": {"nulls.a": 0.5, "nulls.3": 1.0}}
_NULLS = {"metrics": {"null_rate.a": 0.5}}


class _Rude:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            # Hypothesis wants to know.
            return _Rude
        raise SystemError(name)

    def __repr__(self) -> str:
        raise SystemError

    def __float__(self) -> float:
        raise SystemError

    def __iter__(self) -> Iterator[Any]:
        raise SystemError


class _Unwritable:
    """Has no text."""

    def __repr__(self) -> str:
        raise ValueError


class _RudeText(str):
    """A text that raises when it is asked for itself."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


def _itself() -> dict[str, Any]:
    loop: dict[str, Any] = {"other": 1}
    return loop | {"a": loop, "b": loop, "c": loop.update(a=loop, b=loop)}


def _deep(levels: int) -> Any:
    nested: Any = 1
    for _ in range(levels):
        nested = {"in": nested}
    return nested


def _wide(levels: int) -> Any:
    """Return 2**levels numbers that take no room."""
    nested: Any = [1]
    for _ in range(levels):
        nested = {"a": nested, "b": nested}
    return nested


class _Changing(dict[str, Any]):
    """Grows whenever it is looked at."""

    def items(self) -> Any:
        for number, item in enumerate(list(super().items())):
            self[f"new {number}"] = 1
            yield item
        for _ in {**self}:
            raise RuntimeError("dictionary changed size during iteration")


def test_plain_payload_is_returned_as_it_is() -> None:
    """A payload in plain JSON types passes unchanged."""
    payload = {
        "rows": 442,
        "null_rate": 0.25,
        "checksum": "9f86d081",
        "path": "/data/clean.csv",
        "source": "diabetes",
        "metrics": {"mean_bmi": 26.4},
        "params": {"transformed": True, "chunk": 3, "note": None, "columns": ["age", "bmi"]},
    }
    assert validate_payload_schema(payload) == payload


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"rows": np.int64(7)}, {"rows": 7}),
        ({"rows": 7.0}, {"rows": 7}),
        ({"rows": Decimal(7)}, {"rows": 7}),
        ({"null_rate": np.float32(0.5)}, {"null_rate": 0.5}),
        ({"null_rate": Fraction(1, 4)}, {"null_rate": 0.25}),
        ({"checksum": np.uint64(2**64 - 1)}, {"checksum": 2**64 - 1}),
        ({"checksum": b"\xff\x00"}, {"checksum": "ff00"}),
        ({"path": Path("/data/x.csv")}, {"path": "/data/x.csv"}),
        ({"rows": None}, {}),
        ({"metrics": {"missing": None, "mean": np.float64(1.5)}}, {"metrics": {"mean": 1.5}}),
        ({"params": {"day": date(2025, 1, 15)}}, {"params": {"day": "2025-01-15"}}),
        (
            {"params": {"at": pd.Timestamp("2025-01-15T10:00", tz="UTC")}},
            {"params": {"at": "2025-01-15T10:00:00+00:00"}},
        ),
        ({"params": {"took": timedelta(minutes=2)}}, {"params": {"took": 120.0}}),
        ({"params": {"size": np.int16(3)}}, {"params": {"size": 3}}),
        ({"params": {"lost": pd.NA, 7: "seven"}}, {"params": {"lost": None, "7": "seven"}}),
        ({"rows": np.array(7)}, {"rows": 7}),
        ({"accuracy": 0.9, "passed": True}, {"metrics": {"accuracy": 0.9, "passed": 1.0}}),
        ({"accuracy": np.float32(0.5), "model": "xgb"}, _FLAT),
        ({"metrics": {"loss": [3, None, np.float64(1)]}}, {"metrics": {"loss": [3.0, None, 1.0]}}),
        ({"metrics": {"loss": np.array([2, 1])}}, {"metrics": {"loss": [2.0, 1.0]}}),
        ({"metrics": {"loss": pd.Series([2, 1])}}, {"metrics": {"loss": [2.0, 1.0]}}),
        ({"metrics": {"nulls": pd.Series({"a": 0.5, 3: 1})}}, _BY_KEY),
        ({"metrics": {"nulls": {"a": 0.5, "3": {}}, "nulls.3": 1}}, _BY_KEY),
        ({"null_rate": pd.DataFrame({"a": [1, None]}).isna().mean()}, _NULLS),
        ({"metrics": {"gone": pd.NA, "never": pd.NaT, "masked": np.ma.masked}}, {"metrics": {}}),
        ({"metrics": {"took": pd.Timedelta(minutes=2)}}, {"metrics": {"took": 120.0}}),
        ({"fit": {"lr": 0.1, "by": "adam"}}, {"params": {"fit": {"lr": 0.1, "by": "adam"}}}),
        ({"day": pd.Timestamp("2025-01-15")}, {"params": {"day": "2025-01-15T00:00:00"}}),
        ({"params": {"colour": _Colour.RED}}, {"params": {"colour": "_Colour.RED"}}),
        (
            {"params": {"nested": {"when": (datetime(2025, 1, 15, tzinfo=UTC),)}}},
            {"params": {"nested": {"when": ["2025-01-15T00:00:00+00:00"]}}},
        ),
    ],
)
def test_obvious_meanings_are_taken(given: dict[str, Any], plain: dict[str, Any]) -> None:
    """Numbers of numpy and decimal, paths, dates and missing values mean what they say."""
    assert validate_payload_schema(given) == plain


def test_null_rate_of_no_data_may_be_nan() -> None:
    """The mean of an empty table's nulls is NaN, which is an answer and no mistake."""
    checked = validate_payload_schema({"null_rate": pd.Series(dtype=float).isna().mean()})
    assert math.isnan(checked["null_rate"])


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        ({"rows": -1}, "rows must be a whole number of 0 or more, up to 2**53, not -1"),
        ({"rows": 1.5}, "rows must be a whole number of 0 or more, up to 2**53, not 1.5"),
        ({"rows": math.nan}, "rows must be a whole number of 0 or more, up to 2**53, not nan"),
        ({"rows": True}, "rows must be a number, not True"),
        ({"rows": "12"}, "rows must be a number, not a text"),
        ({"rows": [1, 2]}, "rows must be a number, not list"),
        ({"rows": np.array([1, 2])}, "rows must be a number, not ndarray"),
        ({"null_rate": 12.5}, "null_rate must be a share from 0 to 1, not 12.5"),
        ({"checksum": [1]}, "checksum must be a number, not list"),
        ({"path": 3}, "path must be text, not 3"),
        ({"metrics": [1]}, "metrics must map names to values, not be list"),
        ({"rows": 1e19}, "rows must be a whole number of 0 or more, up to 2**53, not 1e+19"),
        ({"rows": 10**5000}, "rows must be a number that fits into 64 bits: it is too large"),
        ({"metrics": {"best": "xgb"}}, "metrics['best'] must be a number, not a text"),
        ({"metrics": {b"a": 2}}, "metrics[bytes] must be named by text"),
        ({"metrics": {"huge": 10**400}}, "metrics['huge'] must be a number"),
        ({"metrics": {"at": pd.Timestamp(0)}}, "metrics['at'] must be a number, not Timestamp"),
        ({"metrics": {"all": pd.DataFrame()}}, "metrics['all'] must be a number, not DataFrame"),
        ({"metrics": {"all": range(10**6)}}, "metrics['all'] is data, of over 100,000 values"),
        ({"metrics": {"l": [1, "x", None, "y"]}}, "not a text (at place 1), and 1 more like it"),
        ({"metrics": {"s": {"a": 1, "b": "x"}}}, "metrics['s.b'] must be a number, not a text"),
        ({"metrics": {"a": {"b": 1}, "a.b": 1}}, "metrics['a.b'] is there twice"),
        ({"metrics": {"a": 1}, "a": 2}, "metrics['a'] is there twice"),
        ({"s": pd.Series([1, 2], index=["a", "a"])}, "metrics['s.a'] is there twice"),
        ({"s": {1: 1, "1": 2}}, "metrics['s.1'] is there twice"),
        ({"metrics": {"rows.a": 1}, "rows": {"a": 2}}, "metrics['rows.a'] is there twice"),
        ({"params": {b"a": 2}}, "params[bytes] must be named by text"),
        ({"params": {"long": 10**5000}}, "params['long'] is an integer of more than 4,000 digits"),
        ({"params": {"mute": _Unwritable()}}, "params['mute'] cannot be read (ValueError)"),
        ({"params": {"loop": _itself()}}, "params['loop'] refers to itself"),
        ({"params": {"deep": _deep(500)}}, "params['deep'] is nested more than 32 levels deep"),
        ({"params": {"wide": _wide(30)}}, "params['wide'] is data, of over 100,000 values"),
        ({"null_rat": 0.5}, "null_rat is no field (did you mean null_rate?)"),
        ("rows=3", "it must be a mapping, not a text"),
    ],
)
def test_mistakes_are_named(payload: Any, complaint: str) -> None:
    """What cannot be logged is refused in words that name the field and what is wrong."""
    with pytest.raises(PayloadError) as raised:
        validate_payload_schema(payload)
    assert complaint in str(raised.value)


def test_all_mistakes_are_named_at_once() -> None:
    """Nobody has to mend a payload one error at a time."""
    with pytest.raises(PayloadError) as raised:
        validate_payload_schema({"rows": -1, "null_rate": 2, "metrics": {"a": "x", "b": "y"}})
    assert len(raised.value.problems) == 4


_names = st.text(max_size=8)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "rows": st.integers(0, 2**53),
            "null_rate": st.floats(0, 1),
            "checksum": st.integers() | st.text(),
            "metrics": st.dictionaries(_names, st.none() | st.floats() | st.lists(st.floats())),
            "params": st.dictionaries(_names, _values),
        },
    )
)
def test_valid_payloads_become_json_and_stay_valid(payload: dict[str, Any]) -> None:
    """A checked payload survives XCom: it is JSON, and checking it again changes nothing."""
    checked = validate_payload_schema(payload)
    assert repr(validate_payload_schema(json.loads(json.dumps(checked)))) == repr(checked)


_MAKE_NASTY: list[Callable[[], Any]] = [
    _Rude,
    _Unwritable,
    lambda: _RudeText("rude"),
    _itself,
    lambda: _deep(500),
    lambda: _wide(40),
    lambda: _Changing(a=1),
    lambda: 10**5000,
    lambda: -1e400,
    lambda: math.nan,
    lambda: 1j,
    lambda: "\ud800",
    lambda: b"\xff",
    lambda: {1, 2},
    lambda: pd.NA,
    lambda: pd.NaT,
    lambda: pd.Timestamp("2025-01-15"),
    lambda: pd.Series({"a": 1, "b": "x"}),
    lambda: pd.Series([1, 2]),
    lambda: pd.DataFrame({"a": [1]}),
    lambda: np.array(3),
    lambda: np.array([1.5, math.nan]),
    lambda: np.array([[1], [2]]),
    lambda: np.ma.masked,
    lambda: np.datetime64("2025-01-15", "ns"),
    lambda: np.timedelta64("NaT"),
    lambda: [1, None, "x", [2]],
    lambda: Decimal("1e400"),
    lambda: _Colour.RED,
    lambda: object,
    lambda: iter([1]),
    MagicMock,
]
_nasty = st.sampled_from(_MAKE_NASTY).map(lambda make: make())
_fields = st.sampled_from(["rows", "null_rate", "checksum", "path", "source", "metrics", "params"])
_keys = _names | _fields | st.integers() | st.binary(max_size=2) | st.builds(_Unwritable)
_mess = _nasty | st.dictionaries(_keys, _nasty | st.floats() | st.text(), max_size=4)


# As many values as would be data are read too, but not in a hundred payloads.
_few_values = patch.object(values, "_MOST_VALUES", 500)
_patient = settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))


@_patient
@given(st.dictionaries(_keys, _mess, max_size=6))
def test_whatever_is_given_is_read_as_far_as_it_can_be(payload: dict[Any, Any]) -> None:
    """No value raises or hangs; what was read is JSON that is valid, so a log call can keep it."""
    with _few_values:
        read = read_payload(payload)
    read_again = read_payload(json.loads(json.dumps(read.payload)))
    assert read_again.problems == []
    assert repr(read_again.payload) == repr(read.payload)
    for sentence in read.problems + read.doubts:
        assert sentence.isprintable()


@_patient
@given(st.dictionaries(_keys, _nasty, max_size=6), _names, st.floats(0, 1))
def test_a_bad_value_costs_no_other(bad: dict[Any, Any], name: str, good: float) -> None:
    """However bad the others are, a metric and a parameter that are right are read."""
    metrics, params = {name: good, **bad}, {name: "right", **bad}
    read = read_payload({"metrics": metrics, "params": params}).payload
    if name not in bad:
        assert read["params"][name] == "right"
        assert read["metrics"][name] == good


def test_what_is_no_payload_is_one_error() -> None:
    """What maps no names to values is refused in one sentence, whatever it is."""
    for payload in (None, "rows=3", 7, [("rows", 1)], _Rude(), _Unwritable()):
        with pytest.raises(PayloadError) as raised:
            read_payload(payload)
        assert len(raised.value.problems) == 1


def test_many_mistakes_are_few_sentences() -> None:
    """A thousand bad values do not make a message of a thousand sentences."""
    read = read_payload({"metrics": {f"m{number}": "x" for number in range(1000)}})
    assert len(read.problems) == 51
    assert read.problems[-1] == "and 950 more"
