"""`flowgauge check-rules`: our rules are well, and what is not well is said."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from flowgauge.cli.check_rules import check_rules_command
from flowgauge.environment import load_environment
from flowgauge.errors import UsageError
from flowgauge.render import render, replace_folder
from stack.prometheus import promtools
from tests.rules.command import GOOD_ANNOTATIONS, WEAK_TESTS, Project, flowgauge


@pytest.mark.parametrize("promtool", promtools().values(), ids=promtools())
def test_our_own_rules_are_well(promtool: str) -> None:
    """Every rule, unit test and runbook that ships passes all checks, on Prometheus 2 and 3."""
    checked = flowgauge("check-rules", "--promtool", promtool)

    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_good_project_passes(folder: Path) -> None:
    """Rules in order are told so, with their number."""
    checked = Project.make(folder).check_as_ours()

    assert checked.stdout == "1 alerts and 1 recorded series, 1 tests: all well.\n"


@pytest.mark.parametrize(
    ("record", "alert", "finding"),
    [
        ({}, {"expr": "job:requests:rate5m"}, "a recorded series, a comparison and a number"),
        ({}, {"expr": "up > 5"}, "a recorded series, a comparison and a number"),
        ({}, {"for": None}, "it has no `for`"),
        ({}, {"labels": {"severity": "fatal"}}, "its severity must be critical or warning"),
        (
            {},
            {"labels": {"severity": "warning", "now": "{{ $value }}"}},
            "the label now holds $value",
        ),
        ({}, {"annotations": GOOD_ANNOTATIONS | {"summary": ""}}, "it has no summary"),
        (
            {},
            {"annotations": GOOD_ANNOTATIONS | {"summary": "{{ $labels.pid }}"}},
            "summary names the label pid, which the alert does not have",
        ),
        (
            {},
            {"annotations": GOOD_ANNOTATIONS | {"runbook_url": "https://example.com"}},
            "its runbook_url must be https://github.com/",
        ),
        (
            {},
            {"annotations": GOOD_ANNOTATIONS | {"dashboard_url": "https://example.com"}},
            "its dashboard_url must start with https://grafana.example.com/d/",
        ),
        ({"record": "requests"}, {}, "name it level:metric:operation"),
        ({"record": "TooMany"}, {}, "there are several rules of this name"),
        ({"expr": "sum by (job) (rate(mlflow_http_requests_total[45s]))"}, {}, "needs two samples"),
        ({"expr": "sum by (job) (requests_total)"}, {}, "nothing exports or records requests_tot"),
        ({"expr": 'up{pid="1"}'}, {}, "pid is no label of up"),
        ({"expr": "sum by (pid) (up)"}, {}, "pid is no label of what is aggregated"),
        ({"expr": "rate(up[5m])"}, {}, "up is no counter, so it has no rate"),
    ],
)
def test_what_promtool_lets_pass_is_found(
    folder: Path, record: dict[str, object], alert: dict[str, object], finding: str
) -> None:
    """Each mistake that promtool accepts is named, with file and rule."""
    checked = Project.make(folder, record=record, alert=alert).check_as_ours()

    assert checked.exit_code == 1
    assert finding in checked.stderr
    assert "small.yaml: " in checked.stderr


def test_labels_are_followed_through_recorded_series(folder: Path) -> None:
    """A label that a recording rule takes away is unknown to the alert that reads it."""
    annotations = GOOD_ANNOTATIONS | {"summary": "{{ $labels.pool }}"}
    record = {"expr": "max without (pid) (mlflow_db_pool_connections)"}
    (folder / "kept").mkdir()
    kept = Project.make(folder / "kept", record=record, alert={"annotations": annotations})
    (folder / "lost").mkdir()
    record = {"expr": "max without (pool) (mlflow_db_pool_connections)"}
    lost = Project.make(folder / "lost", record=record, alert={"annotations": annotations})

    assert "names the label pool" not in kept.check_as_ours().stderr
    assert "names the label pool" in lost.check_as_ours().stderr


def test_a_test_of_an_unknown_alert_is_found(folder: Path) -> None:
    """An alert that does not exist is silent to promtool; check-rules says that nobody has it."""
    tests = WEAK_TESTS + "      - alertname: TooMuch\n        eval_time: 1m\n"
    checked = Project.make(folder, tests=tests).check_as_ours()

    assert checked.exit_code == 1
    assert "TooMuch: the rule files that it loads have no such alert" in checked.stderr


def test_an_alert_must_fire_and_be_silent_in_some_test(folder: Path) -> None:
    """An alert of which no test says that it fires, or that it is silent, is named."""
    silent_only = WEAK_TESTS[: WEAK_TESTS.rindex("      - alertname")]
    checked = Project.make(folder, tests=silent_only).check_as_ours()

    assert "TooMany: there is no test in which it fires" in checked.stderr
    assert "TooMany: there is no test in which it is silent" not in checked.stderr


def test_runbooks_and_alerts_go_together(folder: Path) -> None:
    """An alert without a page and a page without an alert are named."""
    project = Project.make(folder)
    (folder / "runbooks" / "TooMany.md").rename(folder / "runbooks" / "TooMuch.md")
    checked = project.check_as_ours()

    assert "TooMany: it has no runbook" in checked.stderr
    assert "TooMuch.md: there is no such alert" in checked.stderr


def test_a_failing_unit_test_is_shown(folder: Path) -> None:
    """What promtool says of a failing test is passed on."""
    checked = Project.make(folder, alert={"expr": "job:requests:rate5m > 500"}).check_as_ours()

    assert checked.exit_code == 1
    assert "alertname: TooMany, time: 20m" in checked.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("groups: [", "is not valid YAML"),
        (
            "groups: [{name: a, rules: [{alert: A, exp: up}]}]",
            "groups.0.rules.0.exp is not a key here, the keys are alert, annotations, expr, for,",
        ),
        ("groups: [{name: a, rules: [{alert: A, expr: 'up >'}]}]", "'up >' is not PromQL"),
        ("[]", "must be a mapping"),
    ],
)
def test_a_broken_rule_file_is_one_sentence(folder: Path, text: str, sentence: str) -> None:
    """A rule file that cannot be read is named, with what is wrong in it."""
    project = Project.make(folder)
    (folder / "alerts" / "small.yaml").write_text(text)
    checked = project.check_as_ours()

    assert checked.exit_code != 0
    assert sentence in f"{checked.exception}{checked.stderr}"


def test_a_pattern_that_matches_nothing_is_wrong_usage() -> None:
    """A typo in a pattern does not pass as "nothing wrong"."""
    checked = flowgauge("check-rules", "--rules", "nowhere/*.yaml")

    assert checked.returncode == 2
    assert "no file matches 'nowhere/*.yaml'" in checked.stderr


@pytest.mark.parametrize("command", ["check-rules", "mutate-rules"])
def test_without_promtool_it_says_what_to_install(folder: Path, command: str) -> None:
    """Where promtool is missing, the sentence says how to get it."""
    checked = flowgauge(command, PATH=str(folder))

    assert checked.returncode == 1
    assert checked.stderr.startswith("flowgauge: promtool is not on PATH: install")


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ("promtool, version 2.41.0 (branch: HEAD)", "is of Prometheus 2.41: install 2.42 or newer"),
        ("prometheus, version 3.5.3 (branch: HEAD)", "is no promtool"),
    ],
)
def test_a_promtool_that_will_not_do_is_one_sentence(
    folder: Path, says: str, sentence: str
) -> None:
    """A promtool too old for the rules, or another program, is named before anything runs."""
    program = folder / "promtool"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    checked = flowgauge("check-rules", FLOWGAUGE_PROMTOOL=str(program))

    assert checked.returncode == 1
    assert checked.stderr.startswith(f"flowgauge: {program} {sentence}")
    assert checked.stderr.count("\n") == 1


# What is wrong with each is so for whatever metrics there are.
@pytest.mark.parametrize(
    ("record", "alert", "options", "finding"),
    [
        ({}, {"labels": {"now": "{{ $value | humanize }}"}}, [], "the label now holds $value"),
        (
            {},
            {"annotations": {"summary": "{{ $labels.pid }}"}},
            [],
            "summary names the label pid, which the alert does not have (template)",
        ),
        (
            {},
            {"labels": {"team": '{{ index $labels "pid" }}'}},
            [],
            "team names the label pid, which the alert does not have (template)",
        ),
        ({"expr": "sum by (job) (x"}, {}, [], "is not PromQL"),
        (
            {},
            {"expr": 'job:requests:rate5m{pid="1"} > 5'},
            [],
            "pid is no label of job:requests:rate5m (label)",
        ),
        (
            {},
            {"expr": "sum by (pid) (job:requests:rate5m) > 5"},
            [],
            "pid is no label of what is aggregated in sum by (pid) (job:requests:rate5m) (label)",
        ),
        (
            {"expr": 'x{status="hit"} / x{status="miss"}'},
            {},
            [],
            "/: status is 'hit' on the left and 'miss' on the right, so nothing matches (join)",
        ),
        ({"expr": 'x{a="b",a="c"}'}, {}, [], "a cannot be two things at once"),
        (
            {"expr": "sum by (job, pid) (x) / sum by (job) (y)"},
            {},
            [],
            "/: only the left side has pid, so nothing matches",
        ),
        (
            {},
            {"expr": "job:requests:rate5m / sum(y) > 5"},
            [],
            "/: only the left side has job, so nothing matches",
        ),
        (
            {"expr": "x * on (job, pid) group_left sum by (job) (y)"},
            {},
            [],
            "* on (pid): the right side never has pid (join)",
        ),
        (
            {"expr": "sum by (job) (rate(x[1m]))"},
            {},
            ["--scrape-interval", "45s"],
            "rate needs two samples, and there is one every 45s: [1m] must be 1m30s or more",
        ),
        (
            {"expr": "max by (job) (max_over_time(x[1m]))"},
            {},
            ["--scrape-interval", "2m"],
            "max_over_time needs a sample, and there is one every 2m",
        ),
        (
            {"expr": "sum by (job) (x offset 10s)"},
            {},
            ["--scrape-interval", "1m"],
            "x has a sample every 1m: offset 10s often finds the one that is there now (interval)",
        ),
        (
            {"expr": "sum by (job) (max_over_time(x[7d:1h] offset 9d))"},
            {},
            ["--retention", "15d"],
            "it looks back 16d, and samples are kept for 15d (retention)",
        ),
    ],
)
def test_faults_of_any_rules_are_found(
    folder: Path,
    record: dict[str, object],
    alert: dict[str, object],
    options: list[str],
    finding: str,
) -> None:
    """Each mistake is named, whatever metrics there are."""
    checked = Project.make(folder, record=record, alert=alert).check(*options)

    assert checked.exit_code == 1
    assert finding in checked.stderr


@pytest.mark.parametrize(
    "expression",
    [
        "sum by (a) (x) / on (a) group_right sum by (a, b) (y)",
        "sum by (a, b) (x) / ignoring (b) group_left sum by (a) (y)",
        'x{status="hit"} + ignoring (status) x{status="miss"}',
        'x{status="hit"} or x{status="miss"}',
        "sum by (a) (x) > scalar(sum(y))",
        "sum by (a) (x) * 100 / sum by (a) (y)",
        "sum by (a) (x) and on () vector(1)",
        "topk by (a) (1, sum by (a, b) (x)) / sum by (a, b) (y)",
        'label_replace(sum by (a) (x), "b", "$1", "a", "(.*)") / sum by (a, b) (y)',
        'count_values("v", x) > 1',
        '{__name__=~"a|b"} > 1',
        "sum without (nobody_has_this) (x)",
    ],
)
def test_what_may_well_be_right_is_let_pass(folder: Path, expression: str) -> None:
    """Joins that match, and series of which nothing is known, are no findings."""
    alert = {"alert": "A", "expr": expression, "for": "0m"}
    rules = folder / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "a", "rules": [alert]}]}))
    checked = CliRunner().invoke(check_rules_command, ["--rules", str(rules)])

    assert (checked.exit_code, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("slow", "reader", "finding"),
    [
        ("5m", "job:x:sum - job:x:sum offset 1m", "every 5m: offset 1m often finds the one that"),
        ("10m", "job:x:sum > 1", "every 10m: it is gone in between, as Prometheus looks back 5m"),
        ("10m", "delta(job:x:sum[15m]) > 1", "[15m] must be 20m or more"),
    ],
)
def test_a_slow_group_is_held_against_its_readers(
    folder: Path, slow: str, reader: str, finding: str
) -> None:
    """A series that is recorded seldom is read with windows that hold it."""
    rules = folder / "rules.yaml"
    record = {"record": "job:x:sum", "expr": "sum by (job) (x)"}
    groups = [
        {"name": "slow", "interval": slow, "rules": [record]},
        {"name": "fast", "rules": [{"alert": "A", "expr": reader}]},
    ]
    rules.write_text(yaml.safe_dump({"groups": groups}))
    checked = CliRunner().invoke(check_rules_command, ["--rules", str(rules)])

    assert checked.exit_code == 1
    assert finding in checked.stderr


def test_foreign_rules_need_not_be_like_ours(folder: Path) -> None:
    """Other names, severities, thresholds and links, no `for` and no runbook: all well."""
    alert = {"expr": "up == 0", "for": None, "labels": {"severity": "page"}, "annotations": None}
    project = Project.make(folder, record={"record": "requests"}, alert=alert)
    checked = CliRunner().invoke(
        check_rules_command, ["--rules", str(project.folder / "alerts" / "*.yaml")]
    )

    assert checked.stdout == "1 alerts and 1 recorded series, 0 tests: all well.\n"


def test_the_same_rule_twice_is_found(folder: Path) -> None:
    """A copy is named; another rule of the same name, with labels of its own, is not."""
    alert = {"alert": "A", "expr": "up == 0", "labels": {"severity": "page"}}
    other = {**alert, "labels": {"severity": "ticket"}}
    rules = folder / "rules.yaml"
    found = []
    for listed in ([alert, other], [alert, {**alert, "expr": "up  ==  0"}]):
        rules.write_text(yaml.safe_dump({"groups": [{"name": "a", "rules": listed}]}))
        found.append(CliRunner().invoke(check_rules_command, ["--rules", str(rules)]).stderr)

    assert found[0] == ""
    assert "A: the same rule is there more than once" in found[1]


def test_a_vocabulary_of_ones_own(folder: Path) -> None:
    """With saved metrics pages, what is on none of them is named; `up` there says the target's."""
    page = folder / "page.txt"
    page.write_text(
        "# TYPE requests_total counter\n"
        'requests_total{code="200"} 1\n'
        "# TYPE temperature gauge\n"
        "temperature 1\n"
        "# TYPE seconds histogram\n"
        'seconds_bucket{le="+Inf"} 1\nseconds_sum 1\nseconds_count 1\n'
        'up{team="a",instance="b"} 1\n'
    )
    expressions = {
        'sum by (code, team, node, cluster) (rate(requests_total{service="a"}[5m]))': "",
        "histogram_quantile(0.9, sum by (le) (rate(seconds_bucket[5m])))": "",
        "request_total": "nothing exports or records request_total (metric)",
        "rate(temperature[5m])": "temperature is no counter, so it has no rate (counter)",
        'requests_total{status="200"}': "status is no label of requests_total (label)",
    }
    rules = folder / "rules.yaml"
    for expression, finding in expressions.items():
        record = {"record": "a:b:c", "expr": expression}
        rules.write_text(yaml.safe_dump({"groups": [{"name": "a", "rules": [record]}]}))
        checked = CliRunner().invoke(
            check_rules_command, ["--rules", str(rules), "--vocabulary", str(page)]
        )
        assert finding in checked.stderr
        assert bool(checked.stderr) is bool(finding), checked.stderr


def test_a_page_that_is_none_is_wrong_usage(folder: Path) -> None:
    """A vocabulary that is no metrics page is one sentence."""
    (folder / "page.txt").write_text("<html>\n")
    checked = Project.make(folder).check("--vocabulary", str(folder / "page.txt"))

    assert isinstance(checked.exception, UsageError)
    assert "is no metrics page in Prometheus' text format" in str(checked.exception)


def test_rules_of_the_operator_are_checked_with_tests_that_load_them(folder: Path) -> None:
    """PrometheusRule resources pass as the plain rules do, and their faults are named as well."""
    good, bad = folder / "good", folder / "bad"
    good.mkdir()
    bad.mkdir()
    passed = Project.make(good, as_resource=True).check()
    failed = Project.make(
        bad, as_resource=True, alert={"expr": "job:requests:rate5m > 500"}
    ).check()

    assert passed.stdout == "1 alerts and 1 recorded series, 1 tests: all well.\n"
    assert "alertname: TooMany, time: 20m" in failed.stderr


def test_a_check_is_skipped_by_its_name(folder: Path) -> None:
    """--skip leaves out what a finding says it is from."""
    silent_only = WEAK_TESTS[: WEAK_TESTS.rindex("      - alertname")]
    project = Project.make(folder, tests=silent_only)

    assert "TooMany: there is no test in which it fires (untested)" in project.check().stderr
    assert project.check("--skip", "untested").exit_code == 0


def test_findings_are_shown_beside_the_rule_on_github(folder: Path) -> None:
    """--output github names file and line of each finding, --output json file, rule and check."""
    project = Project.make(folder, alert={"labels": {"now": "{{ $value }}"}})
    said = project.check("--output", "github", "--skip", "test").stdout
    listed = json.loads(project.check("--output", "json", "--skip", "test").stdout)
    rules = folder / "alerts" / "small.yaml"
    line = 1 + next(
        at for at, one in enumerate(rules.read_text().splitlines()) if "alert: TooMany" in one
    )

    assert said.startswith(f"::error file={rules},line={line},title=TooMany (value)::the label now")
    assert [(one["file"], one["rule"], one["check"]) for one in listed] == [
        (str(rules), "TooMany", "value")
    ]


def test_what_we_render_passes(folder: Path) -> None:
    """The rules that `flowgauge render` writes are well, as plain files and as resources."""
    example = Path(__file__).parents[2] / "environments" / "prod.yaml"
    (folder / "own.yaml").write_text(example.read_text().replace("example.com", "corp.internal"))
    replace_folder(folder / "out", render("own", load_environment("own", folder)))
    for pattern in ("prometheus/rules/*.yaml", "kubernetes/rules/*.yaml"):
        checked = flowgauge("check-rules", "--rules", str(folder / "out" / pattern))
        assert (checked.returncode, checked.stderr) == (0, "")
