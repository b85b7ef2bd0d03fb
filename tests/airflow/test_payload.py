import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgauge.airflow import PayloadError, validate_payload_schema


class _Colour(Enum):
    RED = 1


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
        ({"params": {"size": np.int16(3)}}, {"params": {"size": "3"}}),
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
        ({"rows": -1}, "rows must be a whole number of 0 or more, not -1"),
        ({"rows": 1.5}, "rows must be a whole number of 0 or more, not 1.5"),
        ({"rows": math.nan}, "rows must be a whole number of 0 or more, not nan"),
        ({"rows": True}, "rows must be a number, not True"),
        ({"rows": "12"}, "rows must be a number, not '12'"),
        ({"rows": [1, 2]}, "rows must be a number, not list"),
        ({"rows": np.array([1, 2])}, "rows must be a number, not ndarray"),
        ({"null_rate": 12.5}, "null_rate must be a share from 0 to 1, not 12.5"),
        ({"checksum": [1]}, "checksum must be a number, not list"),
        ({"path": 3}, "path must be text, not int"),
        ({"metrics": [1]}, "metrics must map names to values, not be list"),
        ({"metrics": {"ok": True}}, "metrics['ok'] must be a number, not True"),
        ({"metrics": {1: 2}}, "metrics[1] must be named by text"),
        ({"metrics": {"huge": 10**400}}, "metrics['huge'] must be a number"),
        ({"params": {1: 2}}, "params[1] must be named by text"),
        ({"null_rat": 0.5}, "null_rat is no field (did you mean null_rate?)"),
        ({"accuracy": 0.5}, "accuracy is no field (put figures in metrics"),
        ("rows=3", "it must be a mapping, not 'rows=3'"),
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
            "rows": st.integers(0, 2**64),
            "null_rate": st.floats(0, 1),
            "checksum": st.integers() | st.text(),
            "metrics": st.dictionaries(_names, st.none() | st.floats()),
            "params": st.dictionaries(_names, _values),
        },
    )
)
def test_valid_payloads_become_json_and_stay_valid(payload: dict[str, Any]) -> None:
    """A checked payload survives XCom: it is JSON, and checking it again changes nothing."""
    checked = validate_payload_schema(payload)
    assert repr(validate_payload_schema(json.loads(json.dumps(checked)))) == repr(checked)
