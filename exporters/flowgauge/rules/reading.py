"""What rules read of each other: which ones a change of one of them can reach."""

from collections.abc import Iterable, Sequence

from flowgauge.rules import promql
from flowgauge.rules.files import Rule
from flowgauge.rules.promql import Selector

__all__ = ["Readings"]

_OF_ALERTS = {"ALERTS", "ALERTS_FOR_STATE"}


class Readings:
    """Who reads what among *rules*, by name.

    What cannot be told (a selector without a name, a template that queries) reads everything.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._alerts = frozenset(rule.alert for rule in self._rules if rule.alert)
        self._records = frozenset(rule.record for rule in self._rules if rule.record)
        self._known: dict[str, frozenset[str]] = {}
        self._read: dict[str, set[str]] = {}
        self._read_by: dict[str, set[str]] = {}
        for rule in self._rules:
            for read in self._of_rule(rule):
                self._read.setdefault(rule.name, set()).add(read)
                self._read_by.setdefault(read, set()).add(rule.name)

    def of(self, expression: str) -> frozenset[str]:
        """Return the rules whose results *expression* reads itself."""
        if expression not in self._known:
            self._known[expression] = self._of_expression(expression)
        return self._known[expression]

    def _of_expression(self, expression: str) -> frozenset[str]:
        parsed = promql.parse_if_known(expression)
        if parsed is None:
            return self._alerts | self._records
        selectors = [node for node in parsed.walk() if isinstance(node, Selector)]
        return frozenset().union(*map(self._selected, selectors))

    def sources(self, names: Iterable[str]) -> frozenset[str]:
        """Return *names* and all that they are made from, directly or not."""
        return self._closure(names, self._read)

    def readers(self, name: str) -> frozenset[str]:
        """Return *name* and all that read it, directly or not."""
        return self._closure([name], self._read_by)

    @staticmethod
    def _closure(names: Iterable[str], steps: dict[str, set[str]]) -> frozenset[str]:
        found: set[str] = set()
        left: Sequence[str] = list(names)
        while left:
            found.update(left)
            left = [more for one in left for more in steps.get(one, ()) if more not in found]
        return frozenset(found)

    def _of_rule(self, rule: Rule) -> frozenset[str]:
        if any("query" in text for text in rule.annotations.values()):
            return self._alerts | self._records
        return self.of(rule.expr)

    def _selected(self, selector: Selector) -> frozenset[str]:
        equal = {one.label: one.value for one in selector.matchers if one.operator == "="}
        name = selector.metric or equal.get("__name__")
        if name is None:
            return self._alerts | self._records
        if name in _OF_ALERTS:
            alert = equal.get("alertname")
            return self._alerts if alert is None else self._alerts & {alert}
        return self._records & {name}
