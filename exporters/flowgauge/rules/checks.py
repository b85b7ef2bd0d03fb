"""All that `flowgauge check-rules` checks."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from flowgauge.links import Links
from flowgauge.metrics import Metric
from flowgauge.rules.files import Source, alert_names
from flowgauge.rules.lint import lint
from flowgauge.rules.promtool import Promtool
from flowgauge.rules.unit_tests import UnitTests

__all__ = ["Checked", "check_rules"]


@dataclass(frozen=True)
class Checked:
    """What was looked at, and what is wrong with it, one sentence each."""

    alerts: int
    records: int
    tests: int
    findings: Sequence[str]


def check_rules(
    sources: Sequence[Source],
    tests: Sequence[UnitTests],
    runbooks: Path,
    promtool: Promtool,
    *,
    metrics: Iterable[Metric],
    links: Links,
    jobs: int,
) -> Checked:
    """Check rule files, their unit tests and the *runbooks*, *jobs* of *promtool* at a time.

    The rules may name the *metrics* and what they record themselves, and link to *links*.
    """
    with ThreadPoolExecutor(jobs) as pool:
        failures = list(pool.map(promtool.test, [one.path for one in tests]))
    broken = promtool.check([source.path for source in sources])
    findings = [
        *filter(None, [broken, *failures]),
        *lint(sources, metrics, links),
        *_untested(sources, tests),
        *_unexplained(sources, runbooks),
    ]
    return Checked(
        alerts=len(alert_names(sources)),
        records=sum(rule.record is not None for one in sources for rule in one.file.rules),
        tests=sum(len(one.tests) for one in tests),
        findings=findings,
    )


def _untested(sources: Sequence[Source], tests: Sequence[UnitTests]) -> Iterator[str]:
    """Compare the names: promtool passes a test that says an alert nobody has is silent."""
    alerts = {source.path: alert_names([source]) for source in sources}
    fires: set[str] = set()
    silent: set[str] = set()
    for one in tests:
        loaded = set().union(*(alerts.get(path, set()) for path in one.rule_files))
        named = {case.alert for case in one.expectations if case.alert}
        for case in one.expectations:
            if case.alert:
                (fires if case.fires else silent).add(case.alert)
        for name in sorted(named - loaded):
            yield f"{one.path.name}: {name}: the rule files that it loads have no such alert"
    for name in sorted(alert_names(sources) - fires):
        yield f"{name}: there is no test in which it fires"
    for name in sorted(alert_names(sources) - silent):
        yield f"{name}: there is no test in which it is silent"


def _unexplained(sources: Sequence[Source], runbooks: Path) -> Iterator[str]:
    alerts = alert_names(sources)
    pages = {page.stem for page in runbooks.glob("*.md")} - {"README"}
    for name in sorted(alerts - pages):
        yield f"{name}: it has no runbook {runbooks / name}.md"
    for name in sorted(pages - alerts):
        yield f"{runbooks / name}.md: there is no such alert"
