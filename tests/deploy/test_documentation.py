"""What the pages on deployment say can be done as they say it."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest
import yaml
from pydantic import BaseModel

from flowgauge.cli.main import _cli
from flowgauge.environment import Environment

_CHECKOUT = Path(__file__).parents[2]
_PAGES = [
    _CHECKOUT / "docs" / f"{name}.md" for name in ("deploy", "environment", "operate", "upgrade")
]


def _blocks(language: str) -> Iterator[str]:
    for page in _PAGES:
        text = page.read_text()
        yield from re.findall(rf"^ *```{language}\n(.+?)^ *```", text, re.DOTALL | re.MULTILINE)


def _commands(name: str) -> list[list[str]]:
    """Every call of the command *name*, its line continuations joined, as words."""
    lines = "\n".join(_blocks("bash")).replace("\\\n", " ").splitlines()
    words = [
        [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]
        for line in lines
    ]
    return [line[1:] for line in words if line[:1] == [name]]


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name
        kinds = [field.annotation, *get_args(field.annotation)]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _keys(kind)


def test_the_example_environment_has_every_key() -> None:
    """The page's long example is a valid file with all keys there are; the short one is valid."""
    short, long = sorted((yaml.safe_load(block) for block in _blocks("yaml")), key=len)
    Environment.model_validate(short)
    Environment.model_validate(long)
    text = yaml.safe_dump(long)
    missing = {key for key in _keys(Environment) if not re.search(rf"\b{key}:", text)}
    assert missing == set()


@pytest.mark.parametrize("words", _commands("flowgauge"), ids=" ".join)
def test_every_flowgauge_command_exists(words: list[str]) -> None:
    """Subcommands and options of each `flowgauge` line are the command line's own."""
    command: click.Command = _cli
    context = click.Context(command)
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("words", _commands("make"), ids=" ".join)
def test_every_make_target_exists(words: list[str]) -> None:
    """Each `make` line names a target of the Makefile."""
    subprocess.run(["make", "--dry-run", *words], cwd=_CHECKOUT, check=True, capture_output=True)


def test_every_file_named_exists() -> None:
    """Paths into the repository lead somewhere."""
    for page in _PAGES:
        text = page.read_text()
        paths = re.findall(r"(?:deploy|environments|alerts|rules_tests|runbooks)/[\w./-]*\w", text)
        links = re.findall(r"\]\(([\w./-]+)\)", text)
        named = [_CHECKOUT / path for path in paths] + [page.parent / link for link in links]
        assert [path for path in named if not path.exists()] == []
