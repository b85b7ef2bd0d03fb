"""Every regular expression of the package, against long texts that are made to hold it up."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import flowgauge

_PACKAGE = Path(flowgauge.__file__).parent
_LENGTH = 2**18
# A repetition of so many is as good as one without end.
_MANY = 1000
# What a class may have that is not written in it.
_PROBES = "a0A .-_/:@=&\"'\n"
_HOME = "re._" if sys.version_info >= (3, 11) else "sre_"
_SEARCHES = {"sub", "subn", "findall", "finditer", "split"}
_USED = {*_SEARCHES, "search", "match", "fullmatch"}
_parser, _compiler = (importlib.import_module(f"{_HOME}{name}") for name in ("parser", "compiler"))
# Made while the program runs: of words of our own, and of what is escaped.
_MADE = {"rules/lines.py", "rules/scoping.py", "server/cgroup.py", "tracking/failures.py"}


def _uses() -> Iterator[tuple[str, re.Pattern[str], str]]:
    """Each pattern, with the file it is in and the method by which it is used."""
    sources = {path: path.read_text() for path in sorted(_PACKAGE.rglob("*.py"))}
    everything = "\n".join(sources.values())
    for path, source in sources.items():
        file = path.relative_to(_PACKAGE)
        for node in ast.parse(source).body if str(file) in _MADE else ast.walk(ast.parse(source)):
            match node:
                case ast.Assign(
                    targets=[ast.Name(id=name)],
                    value=ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile")),
                ):
                    for use in _USED & {*re.findall(rf"\b{name}\.(\w+)\(", everything)}:
                        yield str(file), _global(file, name), use
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re"), attr=use),
                    args=[ast.Name(id=name), *_],
                ):
                    yield str(file), re.compile(_global(file, name)), use
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re"), attr=use),
                    args=[ast.Constant(value=str(pattern)), *_],
                ) if use in _USED:
                    yield str(file), re.compile(pattern), use
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=use)):
                    # One that is put together where it is used is to be named above.
                    assert use in {"compile", "escape"} or str(file) in _MADE, ast.unparse(node)


def _global(file: Path, name: str) -> Any:
    module = importlib.import_module(".".join(("flowgauge", *file.with_suffix("").parts)))
    return getattr(module, name)


def _attacks(pattern: re.Pattern[str]) -> set[tuple[str, str]]:
    """Texts that begin to match it again and again, and in the end do not."""
    tree = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    texts = set()
    for before, unit in _repetitions(tree, ""):
        for part in (unit, before + unit, before):
            texts.add(part)
    return {(part, end) for part in texts if part for end in ("", "\0")}


def _repetitions(tree: Any, before: str) -> Iterator[tuple[str, str]]:
    """What each repetition without end repeats, and what is to stand before it."""
    for number, (kind, value) in enumerate(tree):
        start = before + _sample(tree[:number])
        match str(kind), value:
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT", (_, most, repeated):
                if most >= _MANY:
                    yield from ((start, unit) for unit in _units(repeated))
                yield from _repetitions(repeated, start)
            case "SUBPATTERN" | "ASSERT" | "ASSERT_NOT", (*_, inner):
                yield from _repetitions(inner, start)
            case "ATOMIC_GROUP", inner:
                yield from _repetitions(inner, start)
            case "BRANCH", (_, branches):
                for branch in branches:
                    yield from _repetitions(branch, start)


def _units(tree: Any) -> set[str]:
    """Short texts that *tree* matches: of one character, all the probes that it does."""
    whole = _compiler.compile(tree)
    found = {each for each in _PROBES if whole.fullmatch(each)}
    return found or {_sample(tree)}


def _sample(tree: Any) -> str:
    """A short text that *tree* matches, but for what it looks at and does not take."""
    text = ""
    for kind, value in tree:
        match str(kind), value:
            case "LITERAL", code:
                text += chr(code)
            case "IN" | "NOT_LITERAL" | "ANY" | "CATEGORY", _:
                one = _compiler.compile(_parser.SubPattern(tree.state, [(kind, value)]))
                text += next(each for each in map(chr, range(32, 0x3000)) if one.fullmatch(each))
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT", (least, _, repeated):
                text += _sample(repeated) * least
            case "SUBPATTERN", (*_, inner):
                text += _sample(inner)
            case "ATOMIC_GROUP", inner:
                text += _sample(inner)
            case "BRANCH", (_, branches):
                text += _sample(branches[0])
    return text


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("pattern", "use"),
    [
        pytest.param(pattern, use, id=f"{file}-{pattern.pattern[:30]}-{use}")
        for file, pattern, use in sorted(set(_uses()), key=str)
    ],
)
def test_no_text_holds_a_pattern_up(pattern: re.Pattern[str], use: str) -> None:
    """Milliseconds each; one that takes the square of its text would take minutes."""
    for part, end in _attacks(pattern):
        text = part * (_LENGTH // len(part)) + end
        for _ in pattern.finditer(text) if use in _SEARCHES else [getattr(pattern, use)(text)]:
            pass
