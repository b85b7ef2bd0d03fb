"""`flowgauge mutate-rules`: weak tests are found out."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgauge.assets import asset
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.rules import promql
from flowgauge.rules.files import Rule, read_rules
from flowgauge.rules.mutants import mutants
from tests.rules.command import WEAK_TESTS, Project

_OURS = [
    rule for source in read_rules([str(asset("alerts") / "*.yaml")]) for rule in source.file.rules
]


def test_weak_tests_let_mutants_survive(folder: Path) -> None:
    """A test that looks at neither threshold nor `for` is found out; the files stay as they are."""
    project = Project.make(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.yaml")}
    mutated = project.mutate()

    assert mutated.exit_code == 1
    assert "no test notices: > -> >=" in mutated.stdout
    assert "no test notices: 5 -> 5.5" in mutated.stdout
    assert "  - job:requests:rate5m > 5\n  + job:requests:rate5m > 5.5" in mutated.stdout
    assert "no test notices: for: 2m -> 4m" in mutated.stdout
    assert "no test notices: severity" not in mutated.stdout
    assert "no test notices: rate -> increase" not in mutated.stdout
    assert {path: path.read_bytes() for path in folder.rglob("*.yaml")} == before


def test_listed_equivalents_are_accepted_and_stale_ones_refused(folder: Path) -> None:
    """With every survivor listed the run is a success; an entry that is no mutant is an error."""
    project = Project.make(folder)
    verdicts = json.loads(project.mutate("--output", "json").stdout)
    survivors = [verdict for verdict in verdicts if verdict["outcome"] == "survived"]
    listed = [
        {"rule": verdict["rule"], "change": verdict["change"], "reason": "For this test."}
        for verdict in survivors
    ]
    file = folder / "equivalent.yaml"

    file.write_text(json.dumps({"equivalent": listed}))
    assert project.mutate("--equivalent", str(file)).exit_code == 0

    stale = [*listed, {"rule": "TooMany", "change": "5 -> 6", "reason": "None."}]
    file.write_text(json.dumps({"equivalent": stale}))
    refused = project.mutate("--equivalent", str(file)).exception
    assert isinstance(refused, UsageError)
    assert "names '5 -> 6' of TooMany, which is no mutant" in str(refused)


def test_an_equivalent_that_a_test_notices_is_refused(folder: Path) -> None:
    """A mutant can be listed as equivalent only if no test tells it from the rule."""
    file = folder / "equivalent.yaml"
    entry = {"rule": "TooMany", "change": "> -> <", "reason": "Wrong."}
    file.write_text(json.dumps({"equivalent": [entry]}))
    refused = Project.make(folder).mutate("--equivalent", str(file)).exception

    assert isinstance(refused, FlowgaugeError)
    assert "so it is not equivalent" in str(refused)


def test_failing_tests_are_refused(folder: Path) -> None:
    """Tests that fail to begin with judge nothing, and the sentence says so."""
    tests = WEAK_TESTS.replace("100 requests", "7 requests")
    refused = Project.make(folder, tests=tests).mutate().exception

    assert isinstance(refused, FlowgaugeError)
    assert "small_test.yaml fails before any rule is changed" in str(refused)


@pytest.mark.parametrize(
    ("expression", "changes"),
    [
        ("x > 5", {"> -> >=", "> -> <", "> 5 dropped", "5 -> 5.5", "5 -> 4.54545454545"}),
        ("x == 0", {"== -> !=", "== 0 dropped", "0 -> 1", "0 -> -1"}),
        ('x{a="b"}', {'a="b" dropped', 'a="b" -> a!="b"'}),
        ('{a=~"b"}', {'a=~"b" -> a!~"b"'}),
        (
            "max by (a) (x)",
            {"max -> min", "by (a) -> without (a)", "by (a): a dropped"},
        ),
        ("rate(x[5m])", {"rate -> increase", "[5m] -> [10m]", "[5m] -> [2m30s]"}),
        ("x offset 1h", {"offset 1h -> 2h", "offset 1h -> 30m"}),
        ("a - b", {"- -> +", "operands of - swapped"}),
        ("a and b", {"and -> unless", "and … dropped", "operands of and swapped"}),
        ("a or b", {"or … dropped", "… or dropped", "operands of or swapped"}),
        (
            "histogram_quantile(0.95, x)",
            {"quantile 0.95 -> 0.9", "quantile 0.95 -> 0.975"},
        ),
        ("a * on (j) b", {"* -> /", "on (j) -> ignoring (j)", "on (j): j dropped"}),
    ],
)
def test_every_kind_of_mistake_is_made(expression: str, changes: set[str]) -> None:
    """Operators, numbers, durations, matchers, aggregations, guards and operands all change."""
    rule = Rule.model_validate({"record": "a:b:c", "expr": expression})
    made = {mutant.change for mutant in mutants(rule)}

    assert changes <= made


def test_an_alerts_own_fields_change_too() -> None:
    """`for` and `keep_firing_for` are doubled and halved, the severity is exchanged."""
    rule = Rule.model_validate(
        {
            "alert": "A",
            "expr": "x",
            "for": "5m",
            "keep_firing_for": "1h",
            "labels": {"severity": "critical"},
        }
    )

    assert [mutant.change for mutant in mutants(rule)] == [
        "for: 5m -> 10m",
        "for: 5m -> 2m30s",
        "keep_firing_for: 1h -> 2h",
        "keep_firing_for: 1h -> 30m",
        "severity: critical -> warning",
    ]


@given(st.sampled_from(_OURS))
def test_mutants_differ_from_their_rule_and_from_each_other(rule: Rule) -> None:
    """No mutant is the rule itself, none comes twice, and each can be named by its change."""
    made = list(mutants(rule))
    unchanged = rule.model_copy(update={"expr": str(promql.parse(rule.expr))})

    assert all(mutant.rule != unchanged for mutant in made)
    assert Counter(mutant.change for mutant in made).most_common(1)[0][1] == 1
    assert len({mutant.rule.model_dump_json() for mutant in made}) == len(made)
