"""promtool's unit test files: which rules they load, what they expect of them, test by test.

https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flowgauge.errors import UsageError
from flowgauge.rules.files import find
from flowgauge.strict_yaml import read_yaml, require_shallow, require_tame, yaml_problem

__all__ = ["Expectation", "UnitTest", "UnitTests", "parse_tests", "read_tests"]

# The same in C where PyYAML has it: a large test file takes seconds otherwise.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_KINDS = {"alert_rule_test": "alertname", "promql_expr_test": "expr"}


@dataclass(frozen=True)
class Expectation:
    """What a test expects at some time: of an alert, or of the value of an expression."""

    alert: str | None
    expression: str | None
    fires: bool


@dataclass(frozen=True)
class UnitTest:
    """One test of a test file."""

    number: int
    expectations: tuple[Expectation, ...]
    _node: yaml.MappingNode = field(repr=False, compare=False)
    _head: Sequence[tuple[yaml.Node, yaml.Node]] = field(repr=False, compare=False)

    def text(self, keep: Callable[[Expectation], bool] = lambda _: True) -> str:
        """Return the test file with this test alone, and those expectations that *keep* wants."""
        kept = iter([keep(one) for one in self.expectations])
        pairs = []
        for key, value in self._node.value:
            if key.value in _KINDS and isinstance(value, yaml.SequenceNode):
                chosen = [one for one in value.value if next(kept)]
                pairs.append((key, yaml.SequenceNode(value.tag, chosen)))
            else:
                pairs.append((key, value))
        test = yaml.MappingNode(self._node.tag, pairs)
        tests = yaml.SequenceNode("tag:yaml.org,2002:seq", [test])
        key = yaml.ScalarNode("tag:yaml.org,2002:str", "tests")
        whole = yaml.MappingNode(self._node.tag, [*self._head, (key, tests)])
        return yaml.serialize(whole, Dumper=_Dumper, width=10_000, allow_unicode=True)


@dataclass(frozen=True)
class UnitTests:
    """A test file."""

    path: Path
    rule_files: tuple[Path, ...]
    tests: tuple[UnitTest, ...]

    @property
    def expectations(self) -> Iterator[Expectation]:
        """All that its tests expect."""
        return (one for test in self.tests for one in test.expectations)


def read_tests(patterns: Sequence[str]) -> list[UnitTests]:
    """Return the test files that match *patterns*; `UsageError` names what is wrong in one."""
    return [_read(path) for path in find(patterns)]


def _read(path: Path) -> UnitTests:
    text = read_yaml(path)
    rule_files, tests = parse_tests(path, text)
    return UnitTests(path, tuple(_found(path, rule_files)), tests)


def parse_tests(path: Path, text: str) -> tuple[Sequence[str], tuple[UnitTest, ...]]:
    """Return the patterns of rule files and the tests in *text*, a version of the file *path*.

    Raises `UsageError` if it is no test file.
    """
    try:
        # Nodes, not values: they remember what was written plainly and what in quotes, and `0x10`
        # is ten times 0 to promtool.
        require_shallow(text)
        root = yaml.compose(text, _Loader)
        require_tame(root)
        assert isinstance(root, yaml.MappingNode)  # noqa: S101 - the sentence below says so
        sections = {key.value: value for key, value in root.value}
        head = [(key, value) for key, value in root.value if key.value != "tests"]
        patterns = [_text(pattern) for pattern in _plain(sections["rule_files"])]
        return patterns, tuple(
            UnitTest(number, tuple(_expectations(node)), node, head)
            for number, node in enumerate(sections["tests"].value)
        )
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML: {yaml_problem(error)}") from None
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise UsageError(f"{path} is no unit test file of promtool") from None


def _found(path: Path, patterns: Sequence[str]) -> Iterator[Path]:
    for pattern in patterns:
        if Path(pattern).is_absolute():
            raise UsageError(f"{path}: give the rule file {pattern} relative to the test file")
        yield from find([str(path.parent / pattern)])


def _expectations(test: yaml.MappingNode) -> Iterator[Expectation]:
    for key, cases in test.value:
        if key.value in _KINDS and isinstance(cases, yaml.SequenceNode):
            for case in map(_plain, cases.value):
                if key.value == "alert_rule_test":
                    name = _text(case["alertname"])
                    yield Expectation(name, None, fires=bool(case.get("exp_alerts")))
                else:
                    yield Expectation(None, _text(case["expr"]), fires=False)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a text")
    return value


def _plain(node: yaml.Node) -> Any:
    """Return what *node* holds, every scalar as text."""
    match node:
        case yaml.ScalarNode():
            return node.value
        case yaml.SequenceNode():
            return [_plain(one) for one in node.value]
        case _:
            return {key.value: _plain(value) for key, value in node.value}
