"""`flowgauge check-rules`: whether alert rules are right."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from flowgauge.assets import asset
from flowgauge.cli.rule_options import read_sources, read_unit_tests, rule_options
from flowgauge.links import AS_WRITTEN
from flowgauge.metrics import ALL_METRICS
from flowgauge.rules.checks import check_rules
from flowgauge.rules.promtool import find

__all__ = ["check_rules_command"]


@click.command("check-rules")
@rule_options
@click.option(
    "--runbooks",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=asset("runbooks"),
    help="Folder with a page per alert; default: flowgauge's own.",
)
def check_rules_command(
    rules: Sequence[str], tests: Sequence[str], promtool: str, jobs: int, runbooks: Path
) -> None:
    """Check alert rules, their unit tests and their runbooks.

    Runs promtool, and checks what it lets pass: names and labels that nothing exports, alerts
    without a test in which they fire and one in which they are silent, tests of alerts that do not
    exist, missing links and pages. Exits with 1 if anything is wrong.
    """
    sources = read_sources(rules)
    checked = check_rules(
        sources,
        read_unit_tests(tests, sources),
        runbooks,
        find(promtool),
        metrics=ALL_METRICS,
        links=AS_WRITTEN,
        jobs=jobs,
    )
    for finding in checked.findings:
        click.echo(finding, err=True)
    if checked.findings:
        sys.exit(1)
    click.echo(
        f"{checked.alerts} alerts and {checked.records} recorded series, "
        f"{checked.tests} tests: all well."
    )
