"""`flowgauge check-rules`: our rules are well, and what is not well is said."""

from pathlib import Path

import pytest

from flowgauge.errors import FlowgaugeError
from stack.prometheus import promtools
from tests.rules.command import GOOD_ANNOTATIONS, WEAK_TESTS, Project, flowgauge


@pytest.mark.parametrize("promtool", promtools().values(), ids=promtools())
def test_our_own_rules_are_well(promtool: str) -> None:
    """Every rule, unit test and runbook that ships passes all checks, on Prometheus 2 and 3."""
    checked = flowgauge("check-rules", "--promtool", promtool)

    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_good_project_passes(folder: Path) -> None:
    """Rules in order are told so, with their number."""
    checked = Project.make(folder).check()

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
    checked = Project.make(folder, record=record, alert=alert).check()

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

    assert "names the label pool" not in kept.check().stderr
    assert "names the label pool" in lost.check().stderr


def test_a_test_of_an_unknown_alert_is_found(folder: Path) -> None:
    """An alert that does not exist is silent to promtool; check-rules says that nobody has it."""
    tests = WEAK_TESTS + "      - alertname: TooMuch\n        eval_time: 1m\n"
    checked = Project.make(folder, tests=tests).check()

    assert checked.exit_code == 1
    assert "TooMuch: the rule files that it loads have no such alert" in checked.stderr


def test_an_alert_must_fire_and_be_silent_in_some_test(folder: Path) -> None:
    """An alert of which no test says that it fires, or that it is silent, is named."""
    silent_only = WEAK_TESTS[: WEAK_TESTS.rindex("      - alertname")]
    checked = Project.make(folder, tests=silent_only).check()

    assert "TooMany: there is no test in which it fires" in checked.stderr
    assert "TooMany: there is no test in which it is silent" not in checked.stderr


def test_runbooks_and_alerts_go_together(folder: Path) -> None:
    """An alert without a page and a page without an alert are named."""
    project = Project.make(folder)
    (folder / "runbooks" / "TooMany.md").rename(folder / "runbooks" / "TooMuch.md")
    checked = project.check()

    assert "TooMany: it has no runbook" in checked.stderr
    assert "TooMuch.md: there is no such alert" in checked.stderr


def test_a_failing_unit_test_is_shown(folder: Path) -> None:
    """What promtool says of a failing test is passed on."""
    checked = Project.make(folder, alert={"expr": "job:requests:rate5m > 500"}).check()

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
    (folder / "rules" / "small.yaml").write_text(text)
    error = project.check().exception

    assert isinstance(error, FlowgaugeError)
    assert sentence in str(error)


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
