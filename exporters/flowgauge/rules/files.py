"""Prometheus rule files: read, and written back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from flowgauge.errors import UsageError
from flowgauge.strict_yaml import read_model

__all__ = ["Group", "Rule", "RuleFile", "Source", "alert_names", "find", "read_rules"]


class Rule(BaseModel):
    """A recording or an alerting rule, as Prometheus' documentation describes it.

    https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/#rule
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    record: str | None = None
    alert: str | None = None
    expr: str
    for_: str | None = Field(None, alias="for")
    keep_firing_for: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @property
    def name(self) -> str:
        """What the rule records, or the alert it raises."""
        return self.alert or self.record or ""


class Group(BaseModel):
    """Rules that are evaluated together, one after the other; other keys are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    rules: list[Rule] = []


class RuleFile(BaseModel):
    """What a rule file holds."""

    model_config = ConfigDict(frozen=True, extra="allow")

    groups: list[Group] = []

    @property
    def rules(self) -> Iterator[Rule]:
        """All rules, in order."""
        return (rule for group in self.groups for rule in group.rules)

    def replace(self, old: Rule, new: Rule) -> "RuleFile":
        """Return the file with *new* in the place of *old*."""
        groups = [
            group.model_copy(
                update={"rules": [new if rule is old else rule for rule in group.rules]}
            )
            for group in self.groups
        ]
        return self.model_copy(update={"groups": groups})

    def to_yaml(self) -> str:
        """Return the text Prometheus reads; comments are not kept."""
        content = self.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)


@dataclass(frozen=True)
class Source:
    """A rule file and where it lies."""

    path: Path
    file: RuleFile


def alert_names(sources: Iterable[Source]) -> set[str]:
    """Return the names of all alerts in *sources*."""
    return {rule.alert for source in sources for rule in source.file.rules if rule.alert}


def find(patterns: Sequence[str]) -> list[Path]:
    """Return the files that match the glob *patterns*; `UsageError` for one that matches none."""
    found: set[Path] = set()
    for pattern in patterns:
        matches = glob(pattern, recursive=True)  # noqa: PTH207 - a pattern may be absolute
        if not matches:
            raise UsageError(f"no file matches {pattern!r}: give a path, or a pattern in quotes")
        found.update(Path(match).resolve() for match in matches)
    return sorted(found)


def read_rules(patterns: Sequence[str]) -> list[Source]:
    """Return the rule files that match *patterns*; `UsageError` names what is wrong in one."""
    return [Source(path, read_model(path, RuleFile)) for path in find(patterns)]
