"""promtool's unit test files: which rules they load, which alerts they name, one test at a time.

https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flowgauge.errors import UsageError
from flowgauge.rules.files import find

__all__ = ["AlertCase", "UnitTests", "read_tests"]


@dataclass(frozen=True)
class AlertCase:
    """What a test expects of an alert at some time: to fire, or to be silent."""

    alert: str
    fires: bool


@dataclass(frozen=True)
class UnitTests:
    """A test file; `parts` are files with one of its tests each, as text."""

    path: Path
    rule_files: tuple[Path, ...]
    cases: tuple[AlertCase, ...]
    parts: tuple[str, ...]


def read_tests(patterns: Sequence[str]) -> list[UnitTests]:
    """Return the test files that match *patterns*; `UsageError` names what is wrong in one."""
    return [_read(path) for path in find(patterns)]


def _read(path: Path) -> UnitTests:
    text = path.read_text(encoding="utf-8")
    try:
        # Every scalar as text: `0x10` is ten times 0 to promtool, and 16 to YAML.
        content = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - makes strings, lists and dicts
        return UnitTests(
            path=path,
            rule_files=tuple(_rule_files(path, content)),
            cases=tuple(_cases(content)),
            parts=tuple(_parts(text)),
        )
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML: {error}".replace("\n", " ")) from None
    except (AttributeError, KeyError, TypeError):
        raise UsageError(f"{path} is no unit test file of promtool") from None


def _rule_files(path: Path, content: Any) -> Iterator[Path]:
    for pattern in content["rule_files"]:
        if Path(pattern).is_absolute():
            raise UsageError(f"{path}: give the rule file {pattern} relative to the test file")
        yield from find([str(path.parent / pattern)])


def _cases(content: Any) -> Iterator[AlertCase]:
    for test in content["tests"]:
        for case in test.get("alert_rule_test") or ():
            yield AlertCase(case["alertname"], fires=bool(case.get("exp_alerts")))


def _parts(text: str) -> Iterator[str]:
    # Nodes, not values: they remember what was written plainly and what in quotes.
    root = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)  # noqa: S101 - `content` above was read from it
    others = [(key, value) for key, value in root.value if key.value != "tests"]
    key, tests = next(pair for pair in root.value if pair[0].value == "tests")
    for test in tests.value:
        one = yaml.SequenceNode(tests.tag, [test])
        part = yaml.MappingNode(root.tag, [*others, (key, one)])
        yield yaml.serialize(part, width=10_000, allow_unicode=True)
