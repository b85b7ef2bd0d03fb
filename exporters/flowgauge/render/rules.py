"""The alert rules, of the environment's series, with its numbers and links."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache

from flowgauge.assets import asset
from flowgauge.environment.model import Environment
from flowgauge.errors import UsageError
from flowgauge.links import relink
from flowgauge.redact import quote
from flowgauge.render.files import Files, to_yaml
from flowgauge.rules.files import RuleFile, Source, alert_names, read_rules
from flowgauge.rules.overrides import apply_objective, apply_overrides, threshold_of
from flowgauge.rules.scoping import scoped

__all__ = ["RULES", "alerts", "as_text", "changed_thresholds", "rule_files"]

RULES = "prometheus/rules"
"""Where the rule files lie: beside Prometheus' configuration."""


def rule_files(name: str, environment: Environment) -> Files:
    """Return the rule files of the environment *name*, which read its series alone.

    Raises `UsageError` for overrides of alerts that do not exist.
    """
    sources = _sources()
    _require_known(environment.alerts, alert_names(sources))
    return {
        f"{RULES}/{source.path.name}": relink(
            as_text(scoped(_changed(source.file, environment), name)), environment.urls.links
        )
        for source in sources
    }


def _changed(file: RuleFile, environment: Environment) -> RuleFile:
    return apply_overrides(apply_objective(file, environment.objective), environment.alerts)


def alerts() -> set[str]:
    """Return the names of all alerts that are rendered."""
    return alert_names(_sources())


def changed_thresholds(environment: Environment) -> Mapping[str, tuple[float, float]]:
    """Return the numbers of alerts that *environment* changes: as they are, and as it wants."""
    changed = {}
    for source in _sources():
        for rule in source.file.rules:
            override = environment.alerts.get(rule.alert or "")
            if override and override.threshold is not None:
                changed[str(rule.alert)] = (threshold_of(rule), override.threshold)
    return changed


@cache
def _sources() -> Sequence[Source]:
    return read_rules([str(asset("alerts") / "*.yaml")])


def as_text(file: RuleFile) -> str:
    """Return *file* as YAML that people read."""
    # file.to_yaml() writes an expression of several lines as one quoted line.
    return to_yaml(
        file.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    )


def _require_known(overridden: Iterable[str], known: Collection[str]) -> None:
    wrong = [_unknown(name, known) for name in overridden if name not in known]
    if wrong:
        raise UsageError("; ".join(wrong))


def _unknown(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, sorted(known), cutoff=0.5) or sorted(known)
    return f"alerts.{quote(name)} is not an alert, did you mean {' or '.join(near)}?"
