"""Verdicts on mutants, for people, scripts, GitHub and JUnit's readers."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from flowgauge.cli.rule_options import github_annotation
from flowgauge.rules import promql
from flowgauge.rules.files import Source
from flowgauge.rules.lines import rule_lines
from flowgauge.rules.mutation import Outcome, Verdict

__all__ = ["as_json", "as_junit", "as_table", "github_annotations", "score", "survivor", "untested"]

# What is shown of an expression to either side of a change.
_CONTEXT = 60


def score(verdicts: Iterable[Verdict]) -> float:
    """Return how many percent of the mutants that a test could notice are noticed."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    judged = counts[Outcome.KILLED] + counts[Outcome.SURVIVED]
    return 100 * counts[Outcome.KILLED] / judged if judged else 100.0


def survivor(verdict: Verdict) -> str:
    """Return what to say of a mutant that survived."""
    mutant = verdict.mutant
    lines = [f"{verdict.path.name}: {mutant.rule.name}: no test notices: {mutant.change}"]
    if mutant.rule.expr != mutant.original.expr:
        before, after = _around(str(promql.parse(mutant.original.expr)), mutant.rule.expr)
        lines += [f"  - {before}", f"  + {after}"]
    return "\n".join(lines)


def _around(before: str, after: str) -> tuple[str, str]:
    """Return two texts without what is the same far from where they differ."""
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    return _cut(before, start, len(before) - end), _cut(after, start, len(after) - end)


def _alike(one: str, other: str) -> int:
    """Return for how many characters the two go together."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _cut(text: str, start: int, end: int) -> str:
    first, last = max(start - _CONTEXT, 0), min(end + _CONTEXT, len(text))
    return f"{'…' * (first > 0)}{text[first:last]}{'…' * (last < len(text))}"


def untested(verdict: Verdict) -> str:
    """Return what to say of a rule that no test looks at."""
    return f"{verdict.path.name}: {verdict.mutant.rule.name}: no test looks at it"


def as_table(verdicts: Sequence[Verdict]) -> str:
    """Return a line for each rule, and one for all."""
    scores: dict[tuple[str, str], Counter[Outcome]] = defaultdict(Counter)
    for verdict in verdicts:
        scores[verdict.path.name, verdict.mutant.rule.name][verdict.outcome] += 1
    rows = [_row(f"{file}: {rule}", counts) for (file, rule), counts in scores.items()]
    total = _row("all", Counter(verdict.outcome for verdict in verdicts))
    heading = f"{'noticed':>9} {'equivalent':>10} {'invalid':>7}  rule"
    return "\n".join([heading, *rows, total])


def _row(name: str, counts: Counter[Outcome]) -> str:
    noticed = counts[Outcome.KILLED]
    ratio = f"{noticed}/{noticed + counts[Outcome.SURVIVED]}"
    return f"{ratio:>9} {counts[Outcome.EQUIVALENT]:>10} {counts[Outcome.INVALID]:>7}  {name}"


def as_json(verdicts: Sequence[Verdict]) -> str:
    """Return a list of all verdicts."""

    def described(verdict: Verdict) -> dict[str, Any]:
        return {
            "file": str(verdict.path),
            "rule": verdict.mutant.rule.name,
            "change": verdict.mutant.change,
            "expr": verdict.mutant.rule.expr,
            "outcome": verdict.outcome,
            "tested": verdict.tested,
        }

    return json.dumps([described(verdict) for verdict in verdicts], indent=2)


def github_annotations(
    verdicts: Iterable[Verdict], sources: Mapping[Path, Source], level: str
) -> Iterator[str]:
    """Yield an annotation for each rule with survivors, as soon as its last mutant is judged.

    One for each survivor would be too many: GitHub shows ten a step.
    """
    lines: dict[Path, Mapping[int, int]] = {}
    for (path, rule), judged in groupby(verdicts, key=lambda one: (one.path, one.mutant.original)):
        survivors = [one for one in judged if one.outcome is Outcome.SURVIVED]
        if not survivors:
            continue
        if path not in lines:
            lines[path] = rule_lines(sources[path])
        line = lines[path].get(id(rule), 1)
        if survivors[0].tested:
            message = "No test notices:\n" + "\n".join(one.mutant.change for one in survivors)
        else:
            message = "No test looks at it."
        yield github_annotation(level, path, line, rule.name, message)


def as_junit(verdicts: Sequence[Verdict]) -> str:
    """Return JUnit's XML: a suite for each rule file, a case for each mutant."""
    root = ET.Element("testsuites", name="flowgauge mutate-rules")
    by_file: dict[Path, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_file[verdict.path].append(verdict)
    for path, some in by_file.items():
        counts = Counter(verdict.outcome for verdict in some)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=path.name,
            tests=str(len(some)),
            failures=str(counts[Outcome.SURVIVED]),
            skipped=str(counts[Outcome.INVALID] + counts[Outcome.EQUIVALENT]),
        )
        for verdict in some:
            suite.append(_case(verdict))
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(verdict: Verdict) -> ET.Element:
    mutant = verdict.mutant
    case = ET.Element(
        "testcase", classname=f"{verdict.path.name}.{mutant.rule.name}", name=mutant.change
    )
    if verdict.outcome is Outcome.SURVIVED:
        message = survivor(verdict) if verdict.tested else untested(verdict)
        failure = ET.SubElement(case, "failure", message=message.partition("\n")[0])
        failure.text = message
    elif verdict.outcome is not Outcome.KILLED:
        ET.SubElement(case, "skipped", message=verdict.outcome.value)
    return case
