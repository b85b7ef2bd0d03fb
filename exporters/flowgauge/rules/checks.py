"""All that `flowgauge check-rules` checks."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from flowgauge.links import Links
from flowgauge.rules.files import Source, alert_names
from flowgauge.rules.findings import Finding
from flowgauge.rules.house import house_style
from flowgauge.rules.lint import lint
from flowgauge.rules.promtool import Promtool
from flowgauge.rules.scratch import inside, scratch_folder
from flowgauge.rules.unit_tests import UnitTests
from flowgauge.rules.vocabulary import Vocabulary
from flowgauge.rules.windows import Timing

__all__ = ["CHECKS", "Checked", "check_rules"]

CHECKS = (
    "promtool", "test", "promql", "duplicate", "metric", "label", "counter", "value", "template",
    "join", "range", "interval", "retention", "untested", "unknown-alert", "runbook", "house",
)  # fmt: skip
"""The names of all checks."""


@dataclass(frozen=True)
class Checked:
    """What was looked at, and what is wrong with it."""

    alerts: int
    records: int
    tests: int
    findings: Sequence[Finding]


def check_rules(
    sources: Sequence[Source],
    tests: Sequence[UnitTests],
    promtool: Promtool,
    *,
    vocabulary: Vocabulary,
    timing: Timing,
    runbooks: Path | None,
    links: Links | None,
    jobs: int,
) -> Checked:
    """Check rule files, their unit *tests* and *runbooks*, *jobs* of *promtool* at a time.

    Rules that link to *links* are held to the style of flowgauge's own.
    """
    with ThreadPoolExecutor(jobs) as pool:
        judgements = _promtool(sources, tests, promtool, pool)
        # It takes the longest: all else is done meanwhile.
        ours = [
            *lint(sources, vocabulary, timing),
            *(house_style(sources, vocabulary, links) if links else ()),
            *(_untested(sources, tests) if tests else ()),
            *(_unexplained(sources, runbooks) if runbooks else ()),
        ]
        findings = [*chain.from_iterable(one.result() for one in judgements), *ours]
    return Checked(
        alerts=len(alert_names(sources)),
        records=sum(rule.record is not None for one in sources for rule in one.file.rules),
        tests=sum(len(one.tests) for one in tests),
        findings=findings,
    )


def _promtool(
    sources: Sequence[Source],
    tests: Sequence[UnitTests],
    promtool: Promtool,
    pool: ThreadPoolExecutor,
) -> Sequence[Future[list[Finding]]]:
    resources = {source.path: source.text for source in sources if source.is_resource}
    # The longest first: else the last one is waited for alone.
    longest = sorted(tests, key=lambda one: one.path.stat().st_size, reverse=True)
    tested = [pool.submit(_tested, one, resources, promtool) for one in longest]
    return [pool.submit(_refused, sources, promtool), *tested]


def _refused(sources: Sequence[Source], promtool: Promtool) -> list[Finding]:
    plain = [source.path for source in sources if not source.is_resource]
    # One promtool for all, which most often has nothing to say.
    well = set(plain) if plain and promtool.check(plain) is None else set()
    return [
        finding
        for source in sources
        if source.path not in well and (finding := _valid(source, promtool))
    ]


def _valid(source: Source, promtool: Promtool) -> Finding | None:
    if source.is_resource:
        with scratch_folder({source.path: source.text}) as folder:
            failure = promtool.check([inside(folder, source.path)])
            failure = failure and failure.replace(str(folder), "")
    else:
        failure = promtool.check([source.path])
    return Finding(source.path, "", "promtool", failure) if failure else None


def _tested(tests: UnitTests, resources: Mapping[Path, str], promtool: Promtool) -> list[Finding]:
    if resources.keys().isdisjoint(tests.rule_files):
        failure = promtool.test(tests.path)
    else:
        # promtool does not read resources: the test finds plain rules in their place.
        files = {path: resources.get(path) or path.read_text() for path in tests.rule_files}
        with scratch_folder({**files, tests.path: tests.path.read_text()}) as folder:
            failure = promtool.test(inside(folder, tests.path))
            failure = failure and failure.replace(str(folder), "")
    return [Finding(tests.path, "", "test", failure)] if failure else []


def _untested(sources: Sequence[Source], tests: Sequence[UnitTests]) -> Iterator[Finding]:
    """Compare the names: promtool passes a test that says an alert nobody has is silent."""
    alerts = {source.path: alert_names([source]) for source in sources}
    fires: set[str] = set()
    silent: set[str] = set()
    for one in tests:
        named = {case.alert for case in one.expectations if case.alert}
        for case in one.expectations:
            if case.alert:
                (fires if case.fires else silent).add(case.alert)
        if set(one.rule_files) <= alerts.keys():
            loaded = set().union(*(alerts[path] for path in one.rule_files))
            for name in sorted(named - loaded):
                sentence = f"{name}: the rule files that it loads have no such alert"
                yield Finding(one.path, "", "unknown-alert", sentence)
    for source in sources:
        for name in sorted(alert_names([source])):
            for tested, what in ((fires, "fires"), (silent, "is silent")):
                if name not in tested:
                    sentence = f"there is no test in which it {what}"
                    yield Finding(source.path, name, "untested", sentence)


def _unexplained(sources: Sequence[Source], runbooks: Path) -> Iterator[Finding]:
    pages = {page.stem: page for page in runbooks.glob("*.md") if page.stem != "README"}
    for source in sources:
        for name in sorted(alert_names([source]) - pages.keys()):
            sentence = f"it has no runbook {runbooks / name}.md"
            yield Finding(source.path, name, "runbook", sentence)
    for name in sorted(pages.keys() - alert_names(sources)):
        yield Finding(pages[name], "", "runbook", "there is no such alert")
