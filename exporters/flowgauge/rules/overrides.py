"""What an environment may change about an alert: its number, its `for` and its severity."""

import re
from collections.abc import Mapping
from typing import Any, Protocol

from flowgauge.rules.files import Rule, RuleFile

__all__ = ["Override", "apply_overrides"]

# Every alert reads `recorded series <operator> <number>`.
_THRESHOLD = re.compile(r"(?P<comparison>(?:>=|<=|==|!=|>|<)\s*)[-+.\deE]+\s*$")


class Override(Protocol):
    """What to change about one alert; None leaves it."""

    @property
    def threshold(self) -> float | None:
        """The number it compares with."""

    @property
    def for_(self) -> str | None:
        """How long the condition must hold."""

    @property
    def severity(self) -> str | None:
        """Its severity label."""


def apply_overrides(file: RuleFile, overrides: Mapping[str, Override]) -> RuleFile:
    """Return *file* with *overrides*, by alert name; names it does not have are ignored."""
    for rule in file.rules:
        if override := overrides.get(rule.alert or ""):
            file = file.replace(rule, _overridden(rule, override))
    return file


def _overridden(rule: Rule, override: Override) -> Rule:
    update: dict[str, Any] = {}
    if override.threshold is not None:
        number = f"{override.threshold!r}".removesuffix(".0")
        update["expr"] = _THRESHOLD.sub(rf"\g<comparison>{number}", rule.expr)
    if override.for_ is not None:
        update["for_"] = override.for_
    if override.severity is not None:
        update["labels"] = {**rule.labels, "severity": override.severity}
    return rule.model_copy(update=update)
