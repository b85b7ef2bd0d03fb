"""What the pages on deployment say can be done as they say it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from flowgauge.environment import Environment
from tests.documents import Block, blocks, check_shell, commands

_CHECKOUT = Path(__file__).parents[2]
_PAGES = [
    _CHECKOUT / "CONTRIBUTING.md",
    *(
        _CHECKOUT / "docs" / f"{name}.md"
        for name in ("deploy", "environment", "operate", "upgrade")
    ),
]
_SHELL = blocks(*_PAGES, language="bash")


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name
        kinds = [field.annotation, *get_args(field.annotation)]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _keys(kind)


def test_the_example_environment_has_every_key() -> None:
    """The page's examples are valid, and the long one names all keys there are."""
    page = _CHECKOUT / "docs" / "environment.md"
    examples = [block.text for block in blocks(page, language="yaml")]
    for example in examples:
        Environment.model_validate(yaml.safe_load(example))
    long = max(examples, key=len)
    missing = {key for key in _keys(Environment) if not re.search(rf"\b{key}:", long)}
    assert missing == set()


@pytest.mark.parametrize("block", _SHELL, ids=str)
def test_every_command_exists(block: Block) -> None:
    """Bash reads each block, and `flowgauge` has the subcommands and options in it."""
    check_shell(block.text)


@pytest.mark.parametrize(
    "words", [words for block in _SHELL for words in commands(block.text, "make")], ids=" ".join
)
def test_every_make_target_exists(words: list[str]) -> None:
    """Each `make` line names a target of the Makefile."""
    subprocess.run(["make", "--dry-run", *words], cwd=_CHECKOUT, check=True, capture_output=True)


def test_every_file_named_exists() -> None:
    """Paths into the repository lead somewhere."""
    for page in _PAGES:
        text = page.read_text()
        paths = re.findall(r"(?:deploy|environments|alerts|rules_tests|runbooks)/[\w./-]*\w", text)
        assert [path for path in paths if not (_CHECKOUT / path).exists()] == []
