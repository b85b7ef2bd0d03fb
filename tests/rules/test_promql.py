"""Expressions survive being taken apart and written back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgauge.errors import FlowgaugeError
from flowgauge.rules import promql

_WORDS = {
    "and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset", "inf", "nan",
    "sum", "min", "max", "avg", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile",
    "start", "end", "atan",
}  # fmt: skip
_names = st.from_regex(r"[a-z_]{1,8}(:[a-z_]{1,8}){0,2}", fullmatch=True).filter(
    lambda name: name not in _WORDS
)
_labels = st.sampled_from(["job", "instance", "status", "le"])
_durations = st.sampled_from(["30s", "5m", "1h30m", "2w"])
_values = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def _selectors(draw: st.DrawFn) -> promql.Selector:
    matchers = tuple(
        promql.Matcher(draw(_labels), draw(st.sampled_from(["=", "!="])), draw(_values))
        for _ in range(draw(st.integers(0, 2)))
    )
    return promql.Selector(draw(_names), matchers)


def _composed(inner: st.SearchStrategy[promql.Node]) -> st.SearchStrategy[promql.Node]:
    wrapped = inner.map(lambda node: promql.Parentheses(operands=(node,)))
    groupings = st.builds(
        promql.Grouping,
        st.sampled_from(["by", "without"]),
        st.lists(_labels, unique=True).map(tuple),
    )
    return st.one_of(
        wrapped,
        st.builds(
            lambda node, grouping: promql.Aggregation("sum", grouping, operands=(node,)),
            inner,
            st.none() | groupings,
        ),
        st.builds(
            lambda left, right, operator: promql.Binary(operator, operands=(left, right)),
            wrapped,
            wrapped,
            st.sampled_from(["+", "-", "*", "/", ">", "==", "and", "unless", "or"]),
        ),
    )


@given(st.recursive(_selectors(), _composed, max_leaves=6))
def test_what_is_written_is_read_again(node: promql.Node) -> None:
    """Whatever an expression holds, its text is read back as the same expression."""
    assert promql.parse(str(node)) == node


def test_an_offset_of_nothing_is_none() -> None:
    """`offset 0` is read; written with a unit it would be refused."""
    for expression in ("x offset 0", "x offset -0"):
        assert str(promql.parse(expression)) == "x"


@pytest.mark.parametrize("expression", ["rate(x[0])", "x[00:1m]"])
def test_a_range_of_nothing_is_refused(expression: str) -> None:
    """Prometheus refuses it too."""
    with pytest.raises(FlowgaugeError, match="must be greater than 0"):
        promql.parse(expression)


def test_rare_syntax_is_kept() -> None:
    """Offsets, `@`, subqueries, `bool` and vector matching come back as they were written."""
    expressions = [
        "rate(x[5m] offset -3m)",
        "x @ end() offset 1h",
        "max_over_time(rate(x[5m])[1h:1m] @ start())",
        "a > bool on (job) group_left (version) b",
        "a and ignoring (le) b",
        "-x",
        'count_values("version", x)',
        'quantile by (job) (0.9, x{path=~"/a\\\\d+"})',
        "time() - 3.5",
    ]
    assert [str(promql.parse(expression)) for expression in expressions] == expressions
