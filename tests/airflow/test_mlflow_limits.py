from collections.abc import Mapping

from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_param_name

from flowgauge.airflow.mlflow_limits import LONGEST_PARAM, Fitting

_awkward = st.text(st.sampled_from("/.ab:_ -\0<é\ud800\n"), max_size=12)
_names = st.text(max_size=300) | _awkward


@given(st.dictionaries(_names, st.integers(), max_size=20))
@example({"a//b": 1, "a_/b": 2, "../a": 3, "/a": 4, "": 5, ".": 6, "..a": 7, "a/": 8})
@example({"x" * 300: 1, "x" * 301: 2, "x" * 250: 3})
def test_every_name_becomes_one_mlflow_takes(values: Mapping[str, int]) -> None:
    """MLflow's own check accepts what becomes of any name, and no value gets lost."""
    fitted = Fitting().names("metric", values)
    for name in fitted:
        _validate_param_name(name)
        assert 0 < len(name) <= MAX_ENTITY_KEY_LENGTH
    assert sorted(fitted.values()) == sorted(values.values())


@given(st.dictionaries(_names, st.integers(), max_size=20))
def test_names_mlflow_takes_stay_as_they_are(values: Mapping[str, int]) -> None:
    """A name that is right is never changed, not even to make room for one that is wrong."""
    fitted = Fitting().names("metric", values)
    again = Fitting()
    assert again.names("metric", fitted) == fitted
    assert again.notes == []
    assert all(fitted[name] == values[name] for name in fitted.keys() & values.keys())


def test_every_change_is_noted() -> None:
    """What was renamed or cut is said, with both names and lengths."""
    fitting = Fitting()
    fitting.names("metric", {"rows<1>": 1.0})
    fitting.text("param 'query'", "x" * 7000, LONGEST_PARAM)
    assert fitting.notes == [
        "metric 'rows<1>' renamed to 'rows_1_'",
        "param 'query' cut from 7000 to 6000 characters",
    ]


@given(st.text(st.characters(exclude_categories=()), max_size=50))
def test_texts_can_be_stored(text: str) -> None:
    """Every text becomes one that UTF-8 can encode and PostgreSQL can store."""
    stored = Fitting().text("param", text, 40)
    assert len(stored) <= 40
    assert "\0" not in stored
    stored.encode()
