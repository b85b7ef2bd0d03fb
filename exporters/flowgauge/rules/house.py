"""What every alert of ours must have beside being right."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from flowgauge.links import Links
from flowgauge.rules import promql
from flowgauge.rules.files import Rule, Source
from flowgauge.rules.findings import Finding
from flowgauge.rules.promql import Binary, Node, Number, Selector
from flowgauge.rules.vocabulary import Vocabulary

__all__ = ["SEVERITIES", "house_style"]

SEVERITIES = ("critical", "warning", "none")
"""`critical` wakes somebody up, `warning` waits for working hours, `none` is for a machine."""

# https://prometheus.io/docs/practices/rules/
_RECORD = re.compile(r"[a-z0-9_]+:[a-z0-9_]+:[a-z0-9_]+")
_COMPARISONS = {">", "<", ">=", "<=", "==", "!="}
_ANNOTATIONS = ("summary", "description", "runbook_url", "dashboard_url")


def house_style(
    sources: Sequence[Source], vocabulary: Vocabulary, links: Links
) -> Iterator[Finding]:
    """Yield what our own rules in *sources*, which link to *links*, lack."""
    names = Counter(rule.name for source in sources for rule in source.file.rules)
    for source in sources:
        for rule in source.file.rules:
            if names[rule.name] > 1:
                sentence = "there are several rules of this name: give each its own"
                yield Finding(source.path, rule.name, "house", sentence)
            for sentence in _findings(rule, vocabulary, links):
                yield Finding(source.path, rule.name, "house", sentence)


def _findings(rule: Rule, vocabulary: Vocabulary, links: Links) -> Iterator[str]:
    expression = promql.parse_if_known(rule.expr)
    if rule.alert and expression:
        yield from _alert(rule, expression, vocabulary, links)
    elif rule.record and not _RECORD.fullmatch(rule.record):
        yield "name it level:metric:operation"


def _alert(rule: Rule, expression: Node, vocabulary: Vocabulary, links: Links) -> Iterator[str]:
    match expression:
        case Binary(operands=(Selector(metric=series, range=None), Number())) if (
            expression.operator in _COMPARISONS and vocabulary.records(series)
        ):
            pass
        case _:
            yield "the expression must be a recorded series, a comparison and a number"
    if rule.for_ is None:
        yield "it has no `for`"
    if rule.labels.get("severity") not in SEVERITIES:
        yield f"its severity must be {' or '.join(SEVERITIES)}"
    yield from _annotations(rule, links)


def _annotations(rule: Rule, links: Links) -> Iterator[str]:
    for name in _ANNOTATIONS:
        if not rule.annotations.get(name):
            yield f"it has no {name}"
    runbook = f"{links.runbooks}/{rule.alert}.md"
    if rule.annotations.get("runbook_url", runbook) != runbook:
        yield f"its runbook_url must be {runbook}"
    dashboards = f"{links.dashboards}/d/"
    if not rule.annotations.get("dashboard_url", dashboards).startswith(dashboards):
        yield f"its dashboard_url must start with {dashboards}"
