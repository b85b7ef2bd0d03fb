"""What an environment may change: whether an alert is there, what it is like, the objective."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from flowgauge.errors import UsageError
from flowgauge.rules import promql
from flowgauge.rules.files import Rule, RuleFile
from flowgauge.rules.promql import Binary, Number

__all__ = ["Override", "apply_objective", "apply_overrides", "threshold_of"]

_ORDERED = {">", "<", ">=", "<="}
# The objective, in percent, as our rules and their texts have it.
_OBJECTIVE = "99.5"


class Override(Protocol):
    """What to change about one alert; None leaves it."""

    @property
    def enabled(self) -> bool:
        """Whether the alert is there at all."""

    @property
    def threshold(self) -> float | None:
        """The number it compares with."""

    @property
    def for_(self) -> str | None:
        """How long the condition must hold."""

    @property
    def severity(self) -> str | None:
        """Its severity label."""

    @property
    def labels(self) -> Mapping[str, str]:
        """More labels."""


def apply_overrides(file: RuleFile, overrides: Mapping[str, Override]) -> RuleFile:
    """Return *file* with *overrides*, by alert name; names it does not have are ignored.

    Raises `UsageError` for a threshold of an alert that has none, or with which it would fire
    always or never.
    """
    for rule in file.rules:
        if override := overrides.get(rule.alert or ""):
            file = file.replace(rule, _overridden(rule, override) if override.enabled else None)
    return file


def apply_objective(file: RuleFile, percent: float) -> RuleFile:
    """Return *file* with the objective *percent*, where our rules and their texts have theirs."""
    objective = f"{percent:.10g}"
    for rule in file.rules:
        update = {
            "expr": rule.expr.replace(_OBJECTIVE, objective),
            "annotations": {
                name: text.replace(_OBJECTIVE, objective) for name, text in rule.annotations.items()
            },
        }
        file = file.replace(rule, rule.model_copy(update=update))
    return file


def _overridden(rule: Rule, override: Override) -> Rule:
    update: dict[str, Any] = {}
    if override.threshold is not None:
        update["expr"] = _compared_with(rule, override.threshold)
        update["annotations"] = _told(rule, override.threshold)
    if override.for_ is not None:
        update["for_"] = override.for_
    severity = {} if override.severity is None else {"severity": override.severity}
    update["labels"] = {**rule.labels, **override.labels, **severity}
    return rule.model_copy(update=update)


def threshold_of(rule: Rule) -> float:
    """Return the number that the alert *rule* compares with; `UsageError` if there is none."""
    _, number = _comparison(rule).operands
    return number.value if isinstance(number, Number) else math.nan


def _told(rule: Rule, threshold: float) -> Mapping[str, str]:
    """Return the annotations of *rule*, which say that its number is not the runbook's."""
    if "description" not in rule.annotations:
        return rule.annotations
    number, runbooks = Number(threshold), Number(threshold_of(rule))
    said = f"{rule.annotations['description']} (Here the limit is {number}, not {runbooks}.)"
    return {**rule.annotations, "description": said}


def _compared_with(rule: Rule, threshold: float) -> str:
    compared = _comparison(rule)
    # What our alerts compare is at least 0, and at most 1 where it is compared with a share.
    most = 1 if 0 < threshold_of(rule) < 1 else math.inf
    possible = 0 <= threshold < most if ">" in compared.operator else 0 < threshold <= most
    if not possible:
        raise UsageError(
            f"alerts.{rule.alert}.threshold: with {Number(threshold)} the alert would fire always "
            f"or never{', as it compares a share: 5 % is 0.05' if most == 1 else ''}"
        )
    return str(replace(compared, operands=(compared.operands[0], Number(threshold))))


def _comparison(rule: Rule) -> Binary:
    # The tree, not the text: `> 0x10  # sixteen` is a number, too.
    match promql.parse(rule.expr):
        case Binary(operator=operator, operands=(_, Number())) as compared:
            if operator not in _ORDERED:
                raise UsageError(
                    f"alerts.{rule.alert}.threshold: the alert asks whether something is so "
                    f"({rule.expr.strip()}), not how much it is: leave the threshold out"
                )
            return compared
        case _:
            raise UsageError(
                f"alerts.{rule.alert}.threshold: the alert compares nothing with a number "
                f"({rule.expr.strip()}): leave the threshold out"
            )
