"""Prometheus rule files: read, and written back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from flowgauge.errors import UsageError
from flowgauge.rules.durations import parse_duration
from flowgauge.strict_yaml import as_model, read_documents

__all__ = ["Group", "Rule", "RuleFile", "Source", "alert_names", "find", "read_rules"]

# The same in C where PyYAML has it.
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_NULLS = {"", "~", "null", "Null", "NULL"}


def _duration(text: str | None) -> str | None:
    if text is not None:
        parse_duration(text)
    return text


# The reader takes all scalars as text, so that a key without a value holds "".
_Duration = Annotated[
    str | None,
    BeforeValidator(lambda value: None if value in _NULLS else value),
    AfterValidator(_duration),
]
_Mapping = Annotated[
    dict[str, str],
    BeforeValidator(lambda value: {} if isinstance(value, str) and value in _NULLS else value),
]


def _listed(value: Any) -> Any:
    return [] if isinstance(value, str) and value in _NULLS else value


class Rule(BaseModel):
    """A recording or an alerting rule, as Prometheus' documentation describes it.

    https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/#rule
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    record: str | None = None
    alert: str | None = None
    expr: str
    for_: _Duration = Field(None, alias="for")
    keep_firing_for: _Duration = None
    labels: _Mapping = {}
    annotations: _Mapping = {}

    @property
    def name(self) -> str:
        """What the rule records, or the alert it raises."""
        return self.alert or self.record or ""


class Group(BaseModel):
    """Rules that are evaluated together, one after the other; other keys are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    interval: _Duration = None
    query_offset: _Duration = None
    limit: int | None = None
    labels: _Mapping = {}
    rules: Annotated[list[Rule], BeforeValidator(_listed)] = []


class RuleFile(BaseModel):
    """What a rule file holds."""

    model_config = ConfigDict(frozen=True, extra="allow")

    groups: Annotated[list[Group], BeforeValidator(_listed)] = []

    @property
    def rules(self) -> Iterator[Rule]:
        """All rules, in order."""
        return (rule for group in self.groups for rule in group.rules)

    def replace(self, old: Rule, new: Rule | None) -> "RuleFile":
        """Return the file with *new* in the place of *old*, or without it."""
        put = [] if new is None else [new]
        return self._with_rules(
            lambda group: [one for rule in group.rules for one in (put if rule is old else [rule])]
        )

    def only(self, names: Iterable[str]) -> "RuleFile":
        """Return the file with the rules of these *names* alone."""
        wanted = set(names)
        return self._with_rules(lambda group: [rule for rule in group.rules if rule.name in wanted])

    def _with_rules(self, choose: Any) -> "RuleFile":
        groups = [group.model_copy(update={"rules": choose(group)}) for group in self.groups]
        return self.model_copy(update={"groups": groups})

    def to_yaml(self) -> str:
        """Return the text Prometheus reads; comments are not kept."""
        content = self.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
        return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


@dataclass(frozen=True)
class Source:
    """Rules and the file they lie in."""

    path: Path
    file: RuleFile
    is_resource: bool = False
    """Whether the file holds PrometheusRule resources, which promtool itself does not read."""

    @cached_property
    def text(self) -> str:
        """The rules as promtool reads them."""
        return self.file.to_yaml()


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
    """Return the rule files that match *patterns*; `UsageError` names what is wrong in one.

    A file holds groups, as Prometheus reads them, or PrometheusRule resources of its operator,
    alone, in a list or among others.
    """
    return [_read(path) for path in find(patterns)]


def _read(path: Path) -> Source:
    documents = read_documents(path)
    if not all(isinstance(one, dict) or one in ("", None) for one in documents):
        raise UsageError(f"{path} must be a mapping of keys to values")
    filled = [one for one in documents if isinstance(one, dict)]
    if any("kind" in one for one in filled):
        return Source(path, _resources(path, filled), is_resource=True)
    if len(filled) > 1:
        raise UsageError(f"{path} holds several documents: Prometheus reads the first one only")
    content = filled[0] if filled else {}
    if content and "groups" not in content:
        raise UsageError(
            f"{path} has no groups: it is neither a rule file nor a PrometheusRule resource"
        )
    return Source(path, as_model(path, content, RuleFile))


def _resources(path: Path, documents: Iterable[dict[str, Any]]) -> RuleFile:
    specs = [one.get("spec") or {} for one in documents if one.get("kind") == "PrometheusRule"]
    for document in documents:
        if str(document.get("kind")).endswith("List"):
            specs += [
                item.get("spec") or {}
                for item in document.get("items") or ()
                if isinstance(item, dict) and item.get("kind", "PrometheusRule") == "PrometheusRule"
            ]
    if not specs:
        raise UsageError(f"{path} holds no PrometheusRule resource: its kinds are others")
    files = [as_model(path, spec, RuleFile) for spec in specs]
    return RuleFile(groups=[_plain(group) for file in files for group in file.groups])


def _plain(group: Group) -> Group:
    """Return *group* with the keys that Prometheus knows: the resource has Thanos' too."""
    return Group(**{name: getattr(group, name) for name in Group.model_fields})
