"""Mutation testing: whether the unit tests of alert rules would notice a wrong rule.

Every mutant of every rule is put in the rule's place, in a copy of the files, and the tests that
it can reach are run, the quickest first, until one fails. A mutant that none of them notices
survives.

A trial holds what a mutant can reach and nothing else: the rules that read the changed one, what
those are made from, and what is expected of them. A large collection is loaded and evaluated in
milliseconds this way. Whether the trial is a fair one is seen by running it on the rule as it is:
where it fails and the whole test does not, the whole test is run instead.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.rules import promql
from flowgauge.rules.equivalents import Equivalent
from flowgauge.rules.files import Rule, Source, read_rules
from flowgauge.rules.mutants import Mutant, mutants, siblings
from flowgauge.rules.promtool import Promtool
from flowgauge.rules.reading import Readings
from flowgauge.rules.scratch import inside, scratch_folder
from flowgauge.rules.unit_tests import Expectation, UnitTest, UnitTests

__all__ = ["Candidate", "Outcome", "Plan", "Trials", "Verdict", "plan"]

Clock = Callable[[], float]


class Outcome(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    INVALID = "invalid"
    EQUIVALENT = "equivalent"


@dataclass(frozen=True)
class Candidate:
    """A mutant of a rule in the file `path`."""

    path: Path
    mutant: Mutant


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant; `tested` says whether any test can reach the rule at all."""

    path: Path
    mutant: Mutant
    outcome: Outcome
    tested: bool


@dataclass(frozen=True)
class Trial:
    """One test, of which only what reaches some rule is run."""

    tests: UnitTests
    test: UnitTest
    rule_files: Mapping[Path, Source]
    """The rule files that the test loads, with the rules that matter."""
    expects: Callable[[Expectation], bool]
    key: tuple[object, ...]
    """The same for trials that run the same."""

    def run(self, promtool: Promtool, change: Candidate | None = None) -> str | None:
        """Return how the test fails, on the rules as they are or with a *change*."""
        texts = {
            file: source.file.replace(change.mutant.original, change.mutant.rule).to_yaml()
            if change and change.path == file
            else source.text
            for file, source in self.rule_files.items()
        }
        with scratch_folder({**texts, self.tests.path: self._text}) as folder:
            failure = promtool.test(inside(folder, self.tests.path))
            return failure and failure.replace(str(folder), "")

    @cached_property
    def _text(self) -> str:
        return self.test.text(self.expects)


@dataclass(frozen=True)
class Trials:
    """The trials of each rule, the quickest first, and how long one mutant takes at most."""

    _of: Mapping[int, Sequence[tuple[Trial, float]]]

    def of(self, rule: Rule) -> Sequence[Trial]:
        """Return the trials of *rule*; none if no test reaches it."""
        return [trial for trial, _ in self._of[id(rule)]]

    def seconds(self, candidates: Iterable[Candidate]) -> float:
        """Return how long *candidates* take at most, one after the other."""
        return sum(
            seconds for one in candidates for _, seconds in self._of[id(one.mutant.original)]
        )


@dataclass(frozen=True)
class Plan:
    """The mutants to judge, and the tests to judge them by."""

    candidates: tuple[Candidate, ...]
    unread: tuple[str, ...]
    """Rules that are not mutated as their expression cannot be read, a sentence each."""
    sources: Mapping[Path, Source]
    tests: tuple[UnitTests, ...]
    equivalents: frozenset[tuple[str, str]]
    alike: Mapping[str, Sequence[str]]
    promtool: Promtool

    @cached_property
    def readings(self) -> Mapping[Path, Readings]:
        """What the rules read that each test file loads, by the test file's path."""
        return {
            one.path: Readings(rule for path in one.rule_files for rule in self._rules(path))
            for one in self.tests
        }

    def try_unchanged(self, jobs: int, clock: Clock = time.monotonic) -> Trials:
        """Return the trials of all rules with candidates, having run them on the rules as they are.

        Raises `FlowgaugeError` if a test fails, which judges nothing.
        """
        rules = {id(one.mutant.original): one for one in self.candidates}
        wanted = {key: list(self._trials(one)) for key, one in rules.items()}
        # Rules that lead to the same alert are often tried alike.
        distinct = {trial.key: trial for trials in wanted.values() for trial in trials}
        with _workers(jobs) as pool:
            tried = pool.map(lambda trial: self._measured(trial, clock), distinct.values())
            measured = dict(zip(distinct, tried, strict=True))
        return Trials(
            {
                key: sorted((measured[trial.key] for trial in trials), key=_seconds)
                for key, trials in wanted.items()
            }
        )

    def judge(self, trials: Trials, jobs: int) -> Iterator[Verdict]:
        """Yield the verdict on each mutant, in order, running *jobs* promtools at a time."""
        with _workers(jobs) as pool:
            yield from pool.map(lambda one: self._judge(one, trials), self.candidates)

    def reached(self, tests: UnitTests, test: UnitTest) -> frozenset[str]:
        """Return the names of all rules that *test* of the file *tests* looks at."""
        readings = self.readings[tests.path]
        return readings.sources(name for one in test.expectations for name in _named(one, readings))

    def _rules(self, path: Path) -> Iterator[Rule]:
        return self.sources[path].file.rules

    def _trials(self, candidate: Candidate) -> Iterator[Trial]:
        for tests in self.tests:
            if candidate.path not in tests.rule_files:
                continue
            readings = self.readings[tests.path]
            rule = candidate.mutant.original
            affected = readings.readers(rule.name)
            # A mutant may read a sibling of what its rule reads.
            instead = {more for one in readings.of(rule.expr) for more in self.alike.get(one, ())}

            def expects(
                one: Expectation,
                affected: frozenset[str] = affected,
                readings: Readings = readings,
            ) -> bool:
                return not affected.isdisjoint(_named(one, readings))

            for test in tests.tests:
                looked_at = [one for one in test.expectations if expects(one)]
                if not looked_at:
                    continue
                names = {name for one in looked_at for name in _named(one, readings)}
                needed = readings.sources(names | instead)
                files = {
                    path: replace(self.sources[path], file=self.sources[path].file.only(needed))
                    for path in tests.rule_files
                }
                key = (tests.path, test.number, needed, *map(expects, test.expectations))
                yield Trial(tests, test, files, expects, key)

    def _measured(self, trial: Trial, clock: Clock) -> tuple[Trial, float]:
        started = clock()
        if not trial.run(self.promtool):
            return trial, clock() - started
        files = {path: self.sources[path] for path in trial.tests.rule_files}
        whole = replace(trial, rule_files=files, expects=lambda _: True)
        started = clock()
        if failure := whole.run(self.promtool):
            raise FlowgaugeError(f"{trial.tests.path} fails before any rule is changed: {failure}")
        return whole, clock() - started

    def _judge(self, candidate: Candidate, trials: Trials) -> Verdict:
        mutant = candidate.mutant
        tested = bool(trials.of(mutant.original))
        if promql.parse_if_known(mutant.rule.expr) is None:
            return Verdict(candidate.path, mutant, Outcome.INVALID, tested)
        for trial in trials.of(mutant.original):
            if failure := trial.run(self.promtool, candidate):
                outcome = self._noticed(candidate, failure)
                break
        else:
            listed = (mutant.rule.name, mutant.change) in self.equivalents
            outcome = Outcome.EQUIVALENT if listed else Outcome.SURVIVED
        return Verdict(candidate.path, mutant, outcome, tested)

    def _noticed(self, candidate: Candidate, failure: str) -> Outcome:
        mutant = candidate.mutant
        # A test that got another answer than it expects has loaded the rule.
        if "exp:" not in failure and self._is_refused(candidate):
            return Outcome.INVALID
        if (mutant.rule.name, mutant.change) in self.equivalents:
            raise FlowgaugeError(
                f"{mutant.rule.name}: a test tells {mutant.change!r} from the rule, so it is not "
                "equivalent: take it off the list"
            )
        return Outcome.KILLED

    def _is_refused(self, candidate: Candidate) -> bool:
        mutant = candidate.mutant
        file = self.sources[candidate.path].file.replace(mutant.original, mutant.rule)
        with scratch_folder({candidate.path: file.only([mutant.rule.name]).to_yaml()}) as folder:
            return self.promtool.check([inside(folder, candidate.path)]) is not None


def plan(
    sources: Sequence[Source],
    tests: Sequence[UnitTests],
    equivalents: Sequence[Equivalent],
    promtool: Promtool,
) -> Plan:
    """Return the plan to judge every mutant of the rules in *sources* by *tests*.

    Raises `UsageError` for an entry of *equivalents* that is no mutant of theirs.
    """
    alike = siblings(rule.record for source in sources for rule in source.file.rules if rule.record)
    candidates, unread = _candidates(sources, alike)
    listed = frozenset((entry.rule, entry.change) for entry in equivalents)
    known = {(one.mutant.rule.name, one.mutant.change) for one in candidates}
    if stale := listed - known:
        rule, change = min(stale)
        raise UsageError(
            f"the list of equivalent mutants names {change!r} of {rule}, which is no mutant (any "
            "more): take it off the list"
        )
    by_path = {source.path: source for source in sources}
    # What the tests load beside them is evaluated too, but not changed.
    beside = {path for one in tests for path in one.rule_files} - by_path.keys()
    by_path.update((source.path, source) for source in read_rules(sorted(map(str, beside))))
    return Plan(tuple(candidates), tuple(unread), by_path, tuple(tests), listed, alike, promtool)


def _candidates(
    sources: Sequence[Source], alike: Mapping[str, Sequence[str]]
) -> tuple[list[Candidate], list[str]]:
    candidates: list[Candidate] = []
    unread: list[str] = []
    for source in sources:
        for rule in source.file.rules:
            try:
                candidates += [Candidate(source.path, one) for one in mutants(rule, alike)]
            except FlowgaugeError as error:
                unread.append(f"{source.path.name}: {rule.name} is not changed: {error}")
    return candidates, unread


def _named(expectation: Expectation, readings: Readings) -> frozenset[str]:
    """Return the rules that *expectation* looks at itself."""
    if expectation.alert is not None:
        return frozenset({expectation.alert})
    return readings.of(expectation.expression or "")


def _seconds(measured: tuple[Trial, float]) -> float:
    return measured[1]


@contextmanager
def _workers(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Run a pool; whoever stops early does not wait for what has not begun."""
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
