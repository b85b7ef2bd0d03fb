"""Rules narrowed to one environment, of several that one Prometheus watches."""

import re
from dataclasses import replace

from flowgauge.rules import promql
from flowgauge.rules.files import Rule, RuleFile
from flowgauge.rules.promql import Matcher, Node, Selector

__all__ = ["scoped"]

_LABEL = "environment"


def scoped(file: RuleFile, environment: str) -> RuleFile:
    """Return *file* with rules that read only series whose label `environment` is *environment*.

    What reads no series is given that label. Expressions keep their lines and spaces.
    """
    for rule in file.rules:
        file = file.replace(rule, _scoped(rule, environment))
    return file


def _scoped(rule: Rule, environment: str) -> Rule:
    tree = promql.parse(rule.expr)
    names = {node.metric for node in tree.walk() if isinstance(node, Selector)}
    if not names:
        return rule.model_copy(update={"labels": {**rule.labels, _LABEL: environment}})
    matcher = Matcher(_LABEL, "=", environment)
    written = _written_into(rule.expr, names, matcher)
    wanted = _narrowed(tree, matcher)
    read = promql.parse_if_known(written)
    return rule.model_copy(update={"expr": written if read == wanted else str(wanted)})


def _written_into(expression: str, names: set[str], matcher: Matcher) -> str:
    """Return *expression* with *matcher* behind each of *names*: a guess, as it is text."""
    name = "|".join(map(re.escape, names))
    return re.sub(
        rf"(?<![\w:\"])({name})(?![\w:\"])(\{{)?",
        lambda found: f"{found[1]}{{{matcher}{', ' if found[2] else '}'}",
        expression,
    )


def _narrowed(node: Node, matcher: Matcher) -> Node:
    if isinstance(node, Selector):
        return replace(node, matchers=(matcher, *node.matchers))
    return replace(node, operands=tuple(_narrowed(one, matcher) for one in node.operands))
