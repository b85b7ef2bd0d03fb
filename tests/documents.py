"""The code blocks of our pages, and what every test of a page asks of them."""

import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import click

from flowgauge.assets import asset
from flowgauge.cli.main import _cli
from flowgauge.metrics import ALL_METRICS, MLFLOW_METRICS
from flowgauge.rules import promql
from flowgauge.rules.files import read_rules
from flowgauge.rules.vocabulary import Vocabulary, of_metrics

__all__ = [
    "VOCABULARY",
    "Block",
    "blocks",
    "check_flowgauge_command",
    "check_links",
    "check_names",
    "check_shell",
    "commands",
]

_BLOCK = re.compile(
    r"(?:^ *<!-- checked: (?P<checked>.+?) -->\n)?"
    r"^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)

VOCABULARY = Vocabulary(
    (group for one in read_rules([str(asset("alerts") / "*.yaml")]) for group in one.file.groups),
    of_metrics((*ALL_METRICS, *MLFLOW_METRICS)),
)
"""Every series and label that there is."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `checked` is what the comment before it says, `""` without one."""

    page: Path
    line: int
    language: str
    checked: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(*pages: Path, language: str | None = None) -> list[Block]:
    """Return the blocks of *pages* in order, or those in one *language*."""
    return [
        block for page in pages for block in _blocks(page) if language in {None, block.language}
    ]


def _blocks(page: Path) -> Iterator[Block]:
    content = page.read_text()
    for found in _BLOCK.finditer(content):
        line = content.count("\n", 0, found.start("text"))
        text = dedent(found["text"])
        yield Block(page, line, found["language"], found["checked"] or "", text)


def commands(text: str, name: str) -> list[list[str]]:
    """Return every call of the command *name* in the shell's *text*, as the words after it.

    Variables set for one command, and what comes after a pipe, are left out.
    """
    lines = text.replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        words = shlex.split(line.partition(" | ")[0], comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        if words[:1] == [name]:
            found.append(words[1:])
    return found


def check_shell(text: str) -> None:
    """Fail unless bash can read *text*, and each of its `flowgauge` commands exists."""
    read = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert read.stderr == ""
    for words in commands(text, "flowgauge"):
        check_flowgauge_command(words)


def check_flowgauge_command(words: Sequence[str]) -> None:
    """Fail unless the subcommands and options in *words* are the command line's own."""
    command: click.Command = _cli
    context = click.Context(command)
    rest = list(words)
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0])
        assert found is not None, words
        command = found
        rest.pop(0)
    options = {option for parameter in command.params for option in parameter.opts}
    given = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert given <= {*options, "--help"}, words


def check_names(query: str) -> None:
    """Fail unless *query* parses and names series and labels that are exported or recorded."""
    for node in promql.parse(query).walk():
        if isinstance(node, promql.Selector):
            labels = VOCABULARY.labels(node.metric)
            assert labels is not None, node.metric
            assert all(matcher.label in labels for matcher in node.matchers), node.metric


def check_links(page: Path) -> None:
    """Fail unless every relative link of *page* leads to a file, and to a heading of it."""
    for path, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        if anchor:
            assert anchor in _anchors(target), f"{path}#{anchor}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
