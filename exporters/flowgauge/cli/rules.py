"""`flowgauge check-rules` and `mutate-rules`: whether alerts are right, and their tests sharp."""

import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from flowgauge.assets import asset
from flowgauge.links import AS_WRITTEN
from flowgauge.metrics import ALL_METRICS
from flowgauge.rules import promql
from flowgauge.rules.checks import check_rules
from flowgauge.rules.files import read_rules
from flowgauge.rules.mutation import Outcome, Verdict, plan, read_equivalents
from flowgauge.rules.promtool import find
from flowgauge.rules.unit_tests import read_tests

__all__ = ["check_rules_command", "mutate_rules_command"]

_Command = Callable[..., None]
_JOBS = os.cpu_count() or 1


def _options(command: _Command) -> _Command:
    rules = click.option(
        "--rules",
        multiple=True,
        default=[str(asset("alerts") / "*.yaml")],
        help="Rule files, a pattern in quotes; default: flowgauge's own.",
    )
    tests = click.option(
        "--tests",
        multiple=True,
        default=[str(asset("rules_tests") / "*_test.yaml")],
        help="promtool unit tests, a pattern in quotes; default: flowgauge's own.",
    )
    promtool = click.option(
        "--promtool",
        default="promtool",
        envvar="FLOWGAUGE_PROMTOOL",
        show_envvar=True,
        help="Which promtool to run, 2.42 or newer; default: the one on PATH.",
    )
    jobs = click.option(
        "--jobs",
        type=click.IntRange(min=1),
        default=_JOBS,
        help="promtools to run at a time; default: one per processor.",
    )
    return rules(tests(promtool(jobs(command))))


@click.command("check-rules")
@_options
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
    checked = check_rules(
        read_rules(rules),
        read_tests(tests),
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


@click.command("mutate-rules")
@_options
@click.option(
    "--equivalent",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML list of mutants that mean the same as their rule: rule, change, reason.",
)
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="For people or scripts."
)
def mutate_rules_command(
    *,
    rules: Sequence[str],
    tests: Sequence[str],
    promtool: str,
    jobs: int,
    equivalent: Path | None,
    output: str,
) -> None:
    """Change every rule in small ways, and see whether its unit tests notice.

    Works on anybody's rules and promtool tests. Exits with 1 if a change goes unnoticed.
    """
    equivalents = read_equivalents(equivalent) if equivalent else ()
    todo = plan(read_rules(rules), read_tests(tests), equivalents, find(promtool))
    with click.progressbar(
        todo.run(jobs),
        length=len(todo.mutants),
        label="Mutants",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
    ) as progress:
        verdicts = list(progress)
    click.echo(_as_json(verdicts) if output == "json" else _as_text(verdicts))
    if any(verdict.outcome is Outcome.SURVIVED for verdict in verdicts):
        sys.exit(1)


def _scores(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], Counter[Outcome]]:
    scores: dict[tuple[str, str], Counter[Outcome]] = defaultdict(Counter)
    for verdict in verdicts:
        scores[verdict.path.name, verdict.mutant.rule.name][verdict.outcome] += 1
    return scores


def _as_text(verdicts: Sequence[Verdict]) -> str:
    survivors = [
        _difference(verdict) for verdict in verdicts if verdict.outcome is Outcome.SURVIVED
    ]
    rows = [_row(f"{file}: {rule}", score) for (file, rule), score in _scores(verdicts).items()]
    total = _row("all", Counter(verdict.outcome for verdict in verdicts))
    heading = f"{'noticed':>9} {'equivalent':>10} {'invalid':>7}  rule"
    return "\n".join([heading, *rows, total, *survivors])


def _row(name: str, score: Counter[Outcome]) -> str:
    noticed = score[Outcome.KILLED]
    judged = noticed + score[Outcome.SURVIVED]
    ratio = f"{noticed}/{judged}"
    return f"{ratio:>9} {score[Outcome.EQUIVALENT]:>10} {score[Outcome.INVALID]:>7}  {name}"


def _difference(verdict: Verdict) -> str:
    mutant = verdict.mutant
    lines = [f"\n{verdict.path.name}: {mutant.rule.name}: no test notices: {mutant.change}"]
    before, after = promql.parse(mutant.original.expr), mutant.rule.expr
    if str(before) != after and mutant.rule.for_ == mutant.original.for_:
        lines += [f"  - {before}", f"  + {after}"]
    return "\n".join(lines)


def _as_json(verdicts: Sequence[Verdict]) -> str:
    def described(verdict: Verdict) -> dict[str, Any]:
        return {
            "file": str(verdict.path),
            "rule": verdict.mutant.rule.name,
            "change": verdict.mutant.change,
            "expr": verdict.mutant.rule.expr,
            "outcome": verdict.outcome,
        }

    return json.dumps([described(verdict) for verdict in verdicts], indent=2)
