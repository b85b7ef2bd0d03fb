"""Mutation testing: whether the unit tests of alert rules would notice a wrong rule.

Every mutant of every rule is put in the rule's place, in a copy of the files, and the tests that
load it are run, the quickest first, until one fails. A mutant that none of them notices survives.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.rules.files import Source
from flowgauge.rules.mutants import Mutant, mutants
from flowgauge.rules.promtool import Promtool
from flowgauge.rules.unit_tests import UnitTests
from flowgauge.strict_yaml import read_model

__all__ = ["Equivalent", "Outcome", "Plan", "Verdict", "plan", "read_equivalents"]


class Equivalent(BaseModel):
    """A mutant that means the same as its rule, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    change: str
    reason: str


class _Equivalents(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    equivalent: tuple[Equivalent, ...] = ()


class Outcome(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    INVALID = "invalid"
    EQUIVALENT = "equivalent"


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant of a rule in the file `path`."""

    path: Path
    mutant: Mutant
    outcome: Outcome


@dataclass(frozen=True)
class _Part:
    """One test out of a test file."""

    tests: UnitTests
    number: int

    @property
    def path(self) -> Path:
        """Where it would lie: beside the file it is from."""
        return self.tests.path.with_name(f"{self.tests.path.stem}.{self.number}.yaml")

    @property
    def text(self) -> str:
        """The test file with this test alone."""
        return self.tests.parts[self.number]

    def mentions(self, names: Iterable[str]) -> bool:
        """Return whether the test speaks of any of *names*."""
        return any(name in self.text for name in names)


@dataclass(frozen=True)
class Plan:
    """The mutants to judge, and the tests to judge them by."""

    mutants: tuple[tuple[Path, Mutant], ...]
    sources: Mapping[Path, Source]
    parts: tuple[_Part, ...]
    equivalents: frozenset[tuple[str, str]]
    promtool: Promtool

    def run(self, jobs: int) -> Iterator[Verdict]:
        """Yield the verdict on each mutant, in order, running *jobs* promtools at a time.

        Raises `FlowgaugeError` if a test fails before anything is changed.
        """
        with ThreadPoolExecutor(jobs) as pool:
            seconds = dict(zip(self.parts, pool.map(self._baseline, self.parts), strict=True))
            try:
                yield from pool.map(
                    lambda item: self._judge(item[0], item[1], seconds), self.mutants
                )
            finally:
                pool.shutdown(cancel_futures=True)

    def _baseline(self, part: _Part) -> float:
        started = time.monotonic()
        with _copy(part.tests.rule_files, {part.path: part.text}) as folder:
            failure = self.promtool.test(_inside(folder, part.path))
        if failure:
            raise FlowgaugeError(f"{part.tests.path} fails before any rule is changed: {failure}")
        return time.monotonic() - started

    def _judge(self, path: Path, mutant: Mutant, seconds: Mapping[_Part, float]) -> Verdict:
        parts = [part for part in self.parts if path in part.tests.rule_files]
        originals = {file for part in parts for file in part.tests.rule_files} - {path}
        mutated = self.sources[path].file.replace(mutant.original, mutant.rule).to_yaml()
        readers = self._readers(mutant.rule.name)
        # First those that speak of the rule, or of what reads it; and quick ones before slow ones.
        parts.sort(key=lambda part: (not part.mentions(readers), seconds[part]))
        with _copy(
            originals, {path: mutated, **{part.path: part.text for part in parts}}
        ) as folder:
            if self.promtool.check([_inside(folder, path)]):
                return Verdict(path, mutant, Outcome.INVALID)
            noticed = any(self.promtool.test(_inside(folder, part.path)) for part in parts)
        return Verdict(path, mutant, self._outcome(mutant, noticed=noticed))

    def _readers(self, name: str) -> set[str]:
        """Return the names of a rule and of all that read it, directly or not."""
        rules = [rule for source in self.sources.values() for rule in source.file.rules]
        names = {name}
        while (
            more := {rule.name for rule in rules if any(one in rule.expr for one in names)} - names
        ):
            names |= more
        return names

    def _outcome(self, mutant: Mutant, *, noticed: bool) -> Outcome:
        equivalent = (mutant.rule.name, mutant.change) in self.equivalents
        if noticed and equivalent:
            raise FlowgaugeError(
                f"{mutant.rule.name}: a test tells {mutant.change!r} from the rule, so it is not "
                "equivalent: take it off the list"
            )
        if noticed:
            return Outcome.KILLED
        return Outcome.EQUIVALENT if equivalent else Outcome.SURVIVED


def plan(
    sources: Sequence[Source],
    tests: Sequence[UnitTests],
    equivalents: Sequence[Equivalent],
    promtool: Promtool,
) -> Plan:
    """Return the plan to judge every mutant of the rules in *sources* by *tests*.

    Raises `UsageError` for an entry of *equivalents* that is no mutant of theirs.
    """
    items = tuple(
        (source.path, mutant)
        for source in sources
        for rule in source.file.rules
        for mutant in mutants(rule)
    )
    listed = frozenset((entry.rule, entry.change) for entry in equivalents)
    if stale := listed - {(mutant.rule.name, mutant.change) for _, mutant in items}:
        rule, change = min(stale)
        raise UsageError(
            f"the list of equivalent mutants names {change!r} of {rule}, which is no mutant (any "
            "more): take it off the list"
        )
    parts = tuple(_Part(one, number) for one in tests for number in range(len(one.parts)))
    return Plan(items, {source.path: source for source in sources}, parts, listed, promtool)


def read_equivalents(path: Path) -> Sequence[Equivalent]:
    """Return the equivalent mutants listed in *path*; `UsageError` says what is wrong in it."""
    return read_model(path, _Equivalents).equivalent


@contextmanager
def _copy(originals: Iterable[Path], written: Mapping[Path, str]) -> Iterator[Path]:
    """Make a folder with the same paths below it, so that tests find their rules beside them."""
    with TemporaryDirectory(prefix="flowgauge-mutants-") as name:
        folder = Path(name)
        for path in (*originals, *written):
            _inside(folder, path).parent.mkdir(parents=True, exist_ok=True)
        for path in originals:
            _inside(folder, path).symlink_to(path)
        for path, text in written.items():
            _inside(folder, path).write_text(text, encoding="utf-8")
        yield folder


def _inside(folder: Path, path: Path) -> Path:
    return folder / path.relative_to(path.anchor)
