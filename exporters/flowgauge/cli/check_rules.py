"""`flowgauge check-rules`: whether alert rules are right."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import reduce
from pathlib import Path

import click

from flowgauge.assets import asset
from flowgauge.cli.rule_options import (
    are_ours,
    github_annotation,
    read_sources,
    read_unit_tests,
    rule_options,
)
from flowgauge.links import AS_WRITTEN
from flowgauge.metrics import ALL_METRICS, MLFLOW_METRICS
from flowgauge.redact import printable
from flowgauge.rules.checks import CHECKS, Checked, check_rules
from flowgauge.rules.durations import parse_duration
from flowgauge.rules.files import Source
from flowgauge.rules.findings import Finding
from flowgauge.rules.lines import rule_lines
from flowgauge.rules.promtool import find
from flowgauge.rules.vocabulary import Known, Vocabulary, of_metrics, of_page
from flowgauge.rules.windows import Timing

__all__ = ["check_rules_command"]

_OUR_SCRAPE_INTERVAL = timedelta(seconds=30)


def _duration(_: click.Context, _param: click.Parameter, text: str | None) -> timedelta | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("check-rules")
@rule_options
@click.option(
    "--runbooks",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with a page per alert; default: flowgauge's own, for its own rules.",
)
@click.option(
    "--vocabulary",
    "pages",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A saved /metrics page: the rules may name what is on these pages and nothing else.",
)
@click.option(
    "--scrape-interval",
    callback=_duration,
    metavar="DURATION",
    help="How often targets are scraped: ranges must hold enough samples.",
)
@click.option(
    "--retention",
    callback=_duration,
    metavar="DURATION",
    help="How long samples are kept: no range may go further back.",
)
@click.option(
    "--skip",
    multiple=True,
    type=click.Choice(CHECKS),
    help="Leave out this check.",
    metavar="CHECK",
)
@click.option(
    "--output",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="For people, scripts, or as annotations that GitHub shows beside the rules.",
)
def check_rules_command(
    *,
    rules: Sequence[str],
    tests: Sequence[str],
    promtool: str,
    jobs: int,
    runbooks: Path | None,
    pages: Sequence[Path],
    scrape_interval: timedelta | None,
    retention: timedelta | None,
    skip: Sequence[str],
    output: str,
) -> None:
    """Check alert rules, their unit tests and their runbooks.

    Runs promtool, and checks what it lets pass: rules that are there twice, labels that an alert or
    a recorded series does not have, joins that match nothing, windows too short for the samples in
    them, alerts without a test in which they fire and one in which they are silent, tests of alerts
    that do not exist. flowgauge's own rules are held to its metrics, style and runbooks too. Exits
    with 1 if anything is wrong.
    """
    sources = read_sources(rules)
    ours = are_ours(sources)
    checked = check_rules(
        sources,
        read_unit_tests(tests, sources),
        find(promtool),
        # Some of our rules read what others record.
        vocabulary=_vocabulary(read_sources(()) if ours and rules else sources, pages, ours=ours),
        timing=Timing(scrape_interval or (_OUR_SCRAPE_INTERVAL if ours else None), retention),
        runbooks=runbooks or (asset("runbooks") if ours else None),
        links=AS_WRITTEN if ours else None,
        jobs=jobs,
    )
    findings = [finding for finding in checked.findings if finding.check not in skip]
    match output:
        case "json":
            click.echo(json.dumps([_described(finding) for finding in findings], indent=2))
        case "github":
            _annotate(findings, {source.path: source for source in sources})
        case _:
            _tell(findings, checked)
    if findings:
        sys.exit(1)


def _vocabulary(sources: Sequence[Source], pages: Sequence[Path], *, ours: bool) -> Vocabulary:
    known: list[Known] = [of_page(page) for page in pages]
    if ours:
        known.append(of_metrics((*ALL_METRICS, *MLFLOW_METRICS)))
    groups = [group for source in sources for group in source.file.groups]
    return Vocabulary(groups, reduce(Known.__or__, known) if known else None)


def _tell(findings: Sequence[Finding], checked: Checked) -> None:
    for finding in findings:
        click.echo(printable(str(finding)), err=True)
    if not findings:
        click.echo(
            f"{checked.alerts} alerts and {checked.records} recorded series, "
            f"{checked.tests} tests: all well."
        )


def _described(finding: Finding) -> dict[str, str]:
    return {
        "file": str(finding.path),
        "rule": finding.rule,
        "check": finding.check,
        "sentence": finding.sentence,
    }


def _annotate(findings: Sequence[Finding], sources: Mapping[Path, Source]) -> None:
    lines: dict[tuple[Path, str], int] = {}
    for path in {finding.path for finding in findings} & sources.keys():
        at = rule_lines(sources[path])
        lines |= {(path, rule.name): at[id(rule)] for rule in sources[path].file.rules}
    for finding in findings:
        line = lines.get((finding.path, finding.rule), 1)
        title = f"{finding.rule} ({finding.check})".strip()
        click.echo(github_annotation("error", finding.path, line, title, finding.sentence))
