"""`flowgauge mutate-rules`: whether the tests of alert rules are sharp."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import click

from flowgauge.assets import asset
from flowgauge.cli.mutation_report import (
    as_json,
    as_junit,
    as_table,
    github_annotations,
    score,
    survivor,
    untested,
)
from flowgauge.cli.options import Finite
from flowgauge.cli.progress import Progress, about
from flowgauge.cli.rule_options import are_ours, read_sources, read_unit_tests, rule_options
from flowgauge.errors import UsageError
from flowgauge.redact import printable
from flowgauge.rules.equivalents import Equivalent, read_equivalents
from flowgauge.rules.files import Source
from flowgauge.rules.mutation import Outcome, Plan, Verdict, plan
from flowgauge.rules.promtool import find
from flowgauge.rules.revision import Revision
from flowgauge.rules.selection import only, sample, since

__all__ = ["mutate_rules_command"]

_ALL = 100.0


@click.command("mutate-rules")
@rule_options
@click.option(
    "--only",
    "names",
    multiple=True,
    help="Change the rules of this name alone, a pattern in quotes.",
)
@click.option(
    "--since",
    "revision",
    metavar="REV",
    help="Change what differs from this git revision: rules, and rules whose tests do.",
)
@click.option(
    "--sample",
    "number",
    type=click.IntRange(min=1),
    help="Judge so many mutants, picked by chance, the same each time.",
)
@click.option(
    "--equivalent",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML list of mutants that mean the same as their rule: rule, change, reason; default: "
    "flowgauge's own, for its own rules.",
)
@click.option(
    "--threshold",
    type=Finite(0, 100),
    default=_ALL,
    metavar="PERCENT",
    help="Exit with 1 if fewer of the changes are noticed; default: all must be.",
)
@click.option(
    "--output",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="For people, scripts, or as annotations that GitHub shows beside the rules.",
)
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write JUnit's XML to this file too.",
)
def mutate_rules_command(
    *,
    rules: Sequence[str],
    tests: Sequence[str],
    promtool: str,
    jobs: int,
    names: Sequence[str],
    revision: str | None,
    number: int | None,
    equivalent: Path | None,
    threshold: float,
    output: str,
    junit: Path | None,
) -> None:
    """Change every rule in small ways, and see whether its unit tests notice.

    Works on anybody's rules and promtool tests, PrometheusRule resources too. Exits with 1 if a
    change goes unnoticed.
    """
    sources = read_sources(rules)
    unit_tests = read_unit_tests(tests, sources)
    if not unit_tests:
        raise UsageError("no tests to judge by: say with --tests where promtool's unit tests are")
    listed = _equivalents(equivalent, sources)
    todo = plan(sources, unit_tests, listed, find(promtool))
    for sentence in todo.unread:
        click.echo(printable(sentence), err=True)
    if names:
        todo = only(todo, names)
    if revision is not None:
        todo = since(todo, Revision(revision))
    if number is not None:
        todo = sample(todo, number)
    verdicts = _run(todo, jobs, _REPORTS[output], "error" if threshold == _ALL else "warning")
    if junit:
        _write(junit, as_junit(verdicts))
    if output == "json":
        click.echo(as_json(verdicts))
    else:
        click.echo(
            f"{printable(as_table(verdicts))}\n{score(verdicts):.1f} % of the changes are noticed."
        )
    if score(verdicts) < threshold:
        sys.exit(1)


def _equivalents(file: Path | None, sources: Sequence[Source]) -> Sequence[Equivalent]:
    if file:
        return read_equivalents(file)
    if not are_ours(sources):
        return ()
    names = {rule.name for source in sources for rule in source.file.rules}
    ours = read_equivalents(asset("rules_tests") / "equivalent_mutants.yaml")
    # Some of our rules may have been asked for.
    whole = len(sources) == len(list(asset("alerts").glob("*.yaml")))
    return [one for one in ours if whole or one.rule in names]


def _run(todo: Plan, jobs: int, report: "_Report", level: str) -> list[Verdict]:
    """Judge all mutants of *todo*; what there is to say of them is said at once."""
    trials = todo.try_unchanged(jobs)
    seconds = trials.seconds(todo.candidates) / jobs
    click.echo(f"{len(todo.candidates)} mutants: {about(seconds)} at most.", err=True)
    progress = Progress(len(todo.candidates), sys.stderr)
    verdicts: list[Verdict] = []
    survived = 0

    def watched() -> Iterator[Verdict]:
        nonlocal survived
        for verdict in todo.judge(trials, jobs):
            verdicts.append(verdict)
            survived += verdict.outcome is Outcome.SURVIVED
            yield verdict
            progress.show(len(verdicts), f"{survived} survived")

    for text in report(watched(), todo, level):
        progress.clear()
        click.echo(printable(text))
    progress.clear()
    return verdicts


_Report = Callable[[Iterable[Verdict], Plan, str], Iterator[str]]


def _as_text(verdicts: Iterable[Verdict], _todo: Plan, _level: str) -> Iterator[str]:
    said: set[int] = set()
    for verdict in verdicts:
        if verdict.outcome is not Outcome.SURVIVED:
            continue
        if verdict.tested:
            yield survivor(verdict)
        elif id(verdict.mutant.original) not in said:
            said.add(id(verdict.mutant.original))
            yield untested(verdict)


def _for_github(verdicts: Iterable[Verdict], todo: Plan, level: str) -> Iterator[str]:
    return github_annotations(verdicts, todo.sources, level)


def _afterwards(verdicts: Iterable[Verdict], _todo: Plan, _level: str) -> Iterator[str]:
    for _ in verdicts:
        yield from ()


_REPORTS: dict[str, _Report] = {"text": _as_text, "github": _for_github, "json": _afterwards}


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
