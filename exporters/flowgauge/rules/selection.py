"""Which mutants of a plan are judged, where all would take too long."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

from flowgauge.errors import UsageError
from flowgauge.rules.files import Group, Rule, RuleFile, Source, read_rules
from flowgauge.rules.mutation import Candidate, Plan
from flowgauge.rules.revision import Revision
from flowgauge.rules.unit_tests import UnitTests, parse_tests

__all__ = ["only", "sample", "since"]


def only(plan: Plan, patterns: Sequence[str]) -> Plan:
    """Return *plan* with the rules whose names match one of *patterns*, as `*Down` does.

    Raises `UsageError` for a pattern that matches no rule.
    """
    names = {one.mutant.original.name for one in plan.candidates}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(f"no rule is called {pattern!r}: give a name, or a pattern in quotes")
    return _with(
        plan,
        [
            one
            for one in plan.candidates
            if any(fnmatchcase(one.mutant.original.name, pattern) for pattern in patterns)
        ],
    )


def sample(plan: Plan, number: int) -> Plan:
    """Return *plan* with *number* of its mutants, picked by chance, the same each time."""
    count = len(plan.candidates)
    picked = random.Random(0).sample(range(count), min(number, count))  # noqa: S311 - no secret
    return _with(plan, [plan.candidates[position] for position in sorted(picked)])


def since(plan: Plan, revision: Revision) -> Plan:
    """Return *plan* with the rules that changed since *revision*, or whose tests did.

    Raises `UsageError` if git does not know it.
    """
    changed = {
        id(rule) for source in plan.sources.values() for rule in _changed_rules(source, revision)
    }
    names = {
        (path, name)
        for tests in plan.tests
        for name in _changed_tests(plan, tests, revision)
        for path in tests.rule_files
    }
    return _with(
        plan,
        [
            one
            for one in plan.candidates
            if id(one.mutant.original) in changed or (one.path, one.mutant.original.name) in names
        ],
    )


def _with(plan: Plan, candidates: Sequence[Candidate]) -> Plan:
    return replace(plan, candidates=tuple(candidates))


def _changed_rules(source: Source, revision: Revision) -> Iterator[Rule]:
    text = revision.text(source.path)
    before = set() if text is None else {key for key, _ in _keyed(_old_rules(source.path, text))}
    return (rule for key, rule in _keyed(source.file) if key not in before)


def _keyed(file: RuleFile) -> Iterator[tuple[tuple[str, str], Rule]]:
    """Yield all that makes up each rule, that of its group included."""
    for group in file.groups:
        settings = Group.model_copy(group, update={"rules": []}).model_dump_json()
        for rule in group.rules:
            yield (settings, rule.model_dump_json()), rule


def _old_rules(path: Path, text: str) -> RuleFile:
    with TemporaryDirectory(prefix="flowgauge-since-") as folder:
        old = Path(folder) / path.name
        old.write_text(text, encoding="utf-8")
        try:
            return read_rules([str(old)])[0].file
        except UsageError:
            # What was no rule file then has changed as a whole.
            return RuleFile()


def _changed_tests(plan: Plan, tests: UnitTests, revision: Revision) -> Iterator[str]:
    """Yield the rules that the tests look at which are new, or did look at that are gone."""
    text = revision.text(tests.path)
    try:
        _, then = ((), ()) if text is None else parse_tests(tests.path, text)
    except UsageError:
        then = ()
    before = {test.text() for test in then}
    after = {test.text() for test in tests.tests}
    for test in (*then, *tests.tests):
        if test.text() not in before & after:
            yield from plan.reached(tests, test)
