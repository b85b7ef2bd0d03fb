"""`flowgauge mutate-rules`: weak tests are found out."""

import io
import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgauge.assets import asset
from flowgauge.cli.progress import Progress
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.rules import promql
from flowgauge.rules.files import Rule, read_rules
from flowgauge.rules.mutants import mutants, siblings
from flowgauge.rules.regexes import without_one_branch
from stack.process import python_tool
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
        ("a * on (j) group_left (v, w) b", {"group_left (v, w): v dropped"}),
        ("sum by (a, b) (x)", {"by (a, b): b dropped", "by (a, b) dropped"}),
        ("sum without (a) (x)", {"without (a) dropped"}),
        ("max by (a) (sum by (a, b) (x))", {"max and sum swapped", "max -> sum"}),
        (
            'x{a=~"b|c(d|e)"}',
            {'a=~"b|c(d|e)": b dropped', 'a=~"b|c(d|e)": d dropped'},
        ),
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


def test_a_sibling_is_taken_for_the_recorded_series() -> None:
    """A series recorded over another window, or of another kind, takes the place of one."""
    names = ["job:errors:rate5m", "job:errors:rate1h", "job:errors:rate1d", "job:requests:rate1h"]
    rule = Rule.model_validate({"alert": "A", "expr": "job:errors:rate1h > 1", "for": "1m"})
    made = {mutant.change: mutant.rule.expr for mutant in mutants(rule, siblings(names))}

    assert made["job:errors:rate1h -> job:errors:rate5m"] == "job:errors:rate5m > 1"
    assert "job:errors:rate1h -> job:errors:rate1d" in made
    assert "job:errors:rate1h -> job:requests:rate1h" in made


@pytest.mark.parametrize(("for_", "said"), [("0m", "0m"), ("0", "0"), (None, "none")])
def test_an_alert_that_does_not_wait_is_made_to(for_: str | None, said: str) -> None:
    """`for: 0m`, and none at all, cannot be halved: a minute takes their place."""
    rule = Rule.model_validate({"alert": "A", "expr": "x", "for": for_ or ""})

    assert [mutant.change for mutant in mutants(rule)] == [f"for: {said} -> 1m"]


@pytest.mark.parametrize(
    ("pattern", "rest"),
    [
        ("a|b|c", ["b|c", "a|c", "a|b"]),
        ("(?:a|b)", ["(?:b)", "(?:a)"]),
        ("a|", ["", "a"]),
        (r"a\|b|[|)]", [r"[|)]", r"a\|b"]),
        ("[]|]|a", ["a", "[]|]"]),
        ("a(b", []),
        ("a.*", []),
    ],
)
def test_branches_of_a_regular_expression_are_told_apart(pattern: str, rest: list[str]) -> None:
    """Groups, classes and escapes hold what is no branch of their own."""
    assert [left for _, left in without_one_branch(pattern)] == rest


def test_rules_of_the_operator_are_mutated_with_tests_that_load_them(folder: Path) -> None:
    """PrometheusRule resources, which promtool does not read, are judged all the same."""
    plain = Project.make(_made(folder / "plain"))
    resource = Project.make(_made(folder / "resource"), as_resource=True)

    of_plain, of_resource = (
        [(one["change"], one["outcome"]) for one in json.loads(run.stdout)]
        for run in (plain.mutate("--output", "json"), resource.mutate("--output", "json"))
    )
    assert of_plain == of_resource
    assert {outcome for _, outcome in of_resource} >= {"killed", "survived"}


def test_a_file_without_rules_is_valid(folder: Path) -> None:
    """Groups that are empty have no mutants, and are not an error."""
    project = Project.make(folder)
    (folder / "alerts" / "empty.yaml").write_text("groups:\n- name: empty\n  rules:\n")
    (folder / "alerts" / "none.yaml").write_text("groups: []\n")

    assert project.mutate("--threshold", "0").exit_code == 0


def test_a_rule_that_no_test_reaches_is_said_once(folder: Path) -> None:
    """A rule without any test is one line, however many mutants it has."""
    project = Project.make(folder)
    (folder / "alerts" / "more.yaml").write_text(
        "groups: [{name: more, rules: [{alert: Alone, expr: up == 0, for: 1m}]}]"
    )
    mutated = project.mutate()

    assert mutated.stdout.count("more.yaml: Alone: no test looks at it\n") == 1
    assert "more.yaml: Alone: no test notices" not in mutated.stdout


def test_rules_are_chosen_by_name(folder: Path) -> None:
    """--only judges rules by name and pattern; a name that no rule has is wrong usage."""
    project = Project.make(folder)
    verdicts = json.loads(project.mutate("--only", "Too*", "--output", "json").stdout)
    refused = project.mutate("--only", "TooFew").exception

    assert {verdict["rule"] for verdict in verdicts} == {"TooMany"}
    assert isinstance(refused, UsageError)
    assert "no rule is called 'TooFew'" in str(refused)


def test_a_sample_is_the_same_each_time(folder: Path) -> None:
    """--sample judges so many mutants, the same in every run."""
    project = Project.make(folder)
    first, again = (
        json.loads(project.mutate("--sample", "3", "--output", "json").stdout) for _ in range(2)
    )

    assert len(first) == 3
    assert first == again


def test_only_what_changed_since_a_revision_is_judged(folder: Path) -> None:
    """--since judges rules that changed, and those whose tests did, and nothing else."""
    project = Project.make(folder)
    _commit(folder)
    nothing = json.loads(project.mutate("--since", "HEAD", "--output", "json").stdout)

    rules = folder / "alerts" / "small.yaml"
    rules.write_text(rules.read_text().replace("for: 2m", "for: 3m"))
    one = json.loads(project.mutate("--since", "HEAD", "--output", "json").stdout)

    _commit(folder)
    tests = folder / "rules_tests" / "small_test.yaml"
    tests.write_text(tests.read_text().replace("0m", "1m"))
    both = json.loads(project.mutate("--since", "HEAD", "--output", "json").stdout)

    assert nothing == []
    assert {verdict["rule"] for verdict in one} == {"TooMany"}
    assert {verdict["rule"] for verdict in both} == {"TooMany", "job:requests:rate5m"}


def test_a_revision_that_git_does_not_know_is_wrong_usage(folder: Path) -> None:
    """A misspelt revision is one sentence, and so is a folder that is no repository."""
    refused = Project.make(folder).mutate("--since", "no-such-branch").exception

    assert isinstance(refused, UsageError)
    assert "git knows no revision 'no-such-branch'" in str(refused)


def test_a_threshold_lets_some_go_unnoticed(folder: Path) -> None:
    """With --threshold the share of noticed mutants decides."""
    project = Project.make(folder)
    verdicts = json.loads(project.mutate("--output", "json").stdout)
    outcomes = Counter(verdict["outcome"] for verdict in verdicts)
    share = 100 * outcomes["killed"] / (outcomes["killed"] + outcomes["survived"])

    assert project.mutate("--threshold", str(share - 0.1)).exit_code == 0
    assert project.mutate("--threshold", str(share + 0.1)).exit_code == 1


def test_survivors_are_written_for_junit(folder: Path) -> None:
    """--junit writes a suite for each file, a failure for each survivor."""
    project = Project.make(folder)
    mutated = project.mutate("--junit", str(folder / "report.xml"), "--output", "json")
    survived = [one for one in json.loads(mutated.stdout) if one["outcome"] == "survived"]
    (suite,) = ET.parse(folder / "report.xml").getroot()

    assert suite.get("name") == "small.yaml"
    assert suite.get("failures") == str(len(survived))
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == [one["change"] for one in survived]


def test_survivors_are_shown_beside_the_rule_on_github(folder: Path) -> None:
    """--output github names file and line of each rule with survivors, and all of them."""
    project = Project.make(folder)
    stdout = project.mutate("--output", "github", "--only", "TooMany").stdout
    (line,) = [one for one in stdout.splitlines() if one.startswith("::error")]
    text = (folder / "alerts" / "small.yaml").read_text().splitlines()
    number = 1 + next(at for at, one in enumerate(text) if "alert: TooMany" in one)

    assert line.startswith(f"::error file={folder}/alerts/small.yaml,line={number},title=TooMany::")
    assert "%0A> -> >=%0A" in line


def test_survivors_are_told_while_others_are_judged(folder: Path) -> None:
    """The first survivor is on stdout, and the number of mutants on stderr, before the last one."""
    Project.make(folder)
    promtool = folder / "promtool"
    promtool.write_text(
        f"""#!/bin/sh
        if [ "$1" = test ]; then
          echo >> {folder}/calls
          # The rule as it is, and the first mutant.
          if [ $(wc -l < {folder}/calls) -gt 2 ]; then
            until [ -e {folder}/go ]; do sleep 0.1; done
          fi
        fi
        exec promtool "$@"
        """
    )
    promtool.chmod(0o755)
    with subprocess.Popen(
        [
            python_tool("flowgauge"), "mutate-rules", "--only", "TooMany", "--jobs", "1",
            "--rules", f"{folder}/alerts/*.yaml", "--tests", f"{folder}/rules_tests/*.yaml",
            "--promtool", str(promtool),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        assert run.stderr is not None
        assert re.match(r"\d+ mutants: .* at most\.", run.stderr.readline())
        assert "no test notices: > -> >=" in run.stdout.readline()
        assert run.poll() is None
        (folder / "go").touch()


def test_progress_is_told_without_a_terminal() -> None:
    """Every half minute a line says how much is done, and how long the rest takes."""
    times = iter([0.0, 10.0, 40.0, 50.0, 90.0])
    stream = io.StringIO()
    progress = Progress(100, stream, clock=lambda: next(times))
    for done in (5, 20, 25, 50):
        progress.show(done, "1 survived")

    assert stream.getvalue() == (
        "20 of 100 mutants, 1 survived, about 3 min left\n"
        "50 of 100 mutants, 1 survived, about 2 min left\n"
    )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _commit(folder: Path) -> None:
    git = ("git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Rules."]):
        subprocess.run([*git, *command], check=True)


@given(st.sampled_from(_OURS))
def test_mutants_differ_from_their_rule_and_from_each_other(rule: Rule) -> None:
    """No mutant is the rule itself, none comes twice, and each can be named by its change."""
    made = list(mutants(rule))
    unchanged = rule.model_copy(update={"expr": str(promql.parse(rule.expr))})

    assert all(mutant.rule != unchanged for mutant in made)
    assert Counter(mutant.change for mutant in made).most_common(1)[0][1] == 1
    assert len({mutant.rule.model_dump_json() for mutant in made}) == len(made)
