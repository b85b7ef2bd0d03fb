"""Options that `check-rules` and `mutate-rules` share, and annotations for GitHub."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from flowgauge.assets import asset
from flowgauge.rules.files import Source, read_rules
from flowgauge.rules.unit_tests import UnitTests, read_tests

__all__ = ["are_ours", "github_annotation", "read_sources", "read_unit_tests", "rule_options"]

_Command = Callable[..., None]


def rule_options(command: _Command) -> _Command:
    """Add --rules, --tests, --promtool and --jobs to *command*."""
    rules = click.option(
        "--rules",
        multiple=True,
        help="Rule files or PrometheusRule resources, a pattern in quotes; default: flowgauge's "
        "own.",
    )
    tests = click.option(
        "--tests",
        multiple=True,
        help="promtool unit tests, a pattern in quotes; default: flowgauge's own, for its own "
        "rules.",
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
        default=os.cpu_count() or 1,
        help="promtools to run at a time; default: one per processor.",
    )
    return rules(tests(promtool(jobs(command))))


def read_sources(patterns: Sequence[str]) -> list[Source]:
    """Return the rules that match *patterns*, flowgauge's own if there are none."""
    return read_rules(patterns or [str(asset("alerts") / "*.yaml")])


def read_unit_tests(patterns: Sequence[str], sources: Sequence[Source]) -> list[UnitTests]:
    """Return the tests that match *patterns*; if there are none, flowgauge's for its own rules."""
    if not patterns and are_ours(sources):
        patterns = [str(asset("rules_tests") / "*_test.yaml")]
    return read_tests(patterns)


def are_ours(sources: Sequence[Source]) -> bool:
    """Return whether *sources* are the rules that flowgauge ships."""
    return all(source.path.parent == asset("alerts").resolve() for source in sources)


def github_annotation(level: str, path: Path, line: int, title: str, message: str) -> str:
    """Return the line that makes GitHub show *message* beside *line* of *path*.

    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
    """
    here = Path.cwd()
    file = str(path.relative_to(here) if path.is_relative_to(here) else path)
    properties = ",".join(
        f"{key}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in (("file", file), ("line", str(line)), ("title", title))
    )
    return f"::{level} {properties}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
