"""PromQL expressions as trees that can be changed and written back.

`promql-parser` reads them. Its own trees cannot be changed, and it writes strings without escaping
them (0.12), so what it writes may not parse again; hence the nodes here.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from textwrap import shorten

import promql_parser

from flowgauge.errors import FlowgaugeError
from flowgauge.redact import quote
from flowgauge.rules.durations import write_duration

__all__ = [
    "Aggregation",
    "Binary",
    "Call",
    "Grouping",
    "Matcher",
    "Negation",
    "Node",
    "Number",
    "Parentheses",
    "Selector",
    "String",
    "Subquery",
    "parse",
    "parse_if_known",
]

# Nobody writes more, and all that walks through a tree goes as deep as Python lets it.
_DEEPEST = 100
_MOST_OPERATORS = 1000
_LONGEST_TOLD = 200
_TOO_DEEP = "it is nested too deep"
# And what follows a quotation mark that nobody closes: it would be read from each further one.
_STRING = re.compile(
    r"\"(?:\\.|[^\"\\])*+\"|'(?:\\.|[^'\\])*+'|`[^`]*+`|#[^\n]*|(?P<unclosed>[\"'`].*)", re.DOTALL
)
_BRACKETS = re.compile(r"[()\[\]{}]")
_OPERATORS = re.compile(r"[-+*/%^<>]|[=!]=|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_AT = re.compile(r"@\s*([-+]?(?:\d+(?:\.\d*)?|\.\d+))")
_NO_OFFSET = re.compile(r"\boffset\s*[-+]?(?:inf|nan)\b", re.IGNORECASE)
# A range, a step or an offset, as a number of seconds.
_SECONDS = re.compile(
    r"(?:[\[:]|\boffset\b)\s*[-+]?((?:\d(?:_?\d)*+\.?\d*|\.\d+)(?:e[-+]?\d+)?)", re.IGNORECASE
)
_MOST_SECONDS = 1e11
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True)
class Node:
    """An expression; `operands` are the expressions it is made of. `str()` is its PromQL."""

    operands: tuple["Node", ...] = field(default=(), kw_only=True)

    @property
    def depth(self) -> int:
        """How many expressions are within each other, this one included."""
        level: tuple[Node, ...] = (self,)
        deep = 0
        while level:
            deep += 1
            level = tuple(operand for node in level for operand in node.operands)
        return deep

    def walk(self) -> Iterator["Node"]:
        """Yield this node and all within it, from the outside in."""
        yield self
        for operand in self.operands:
            yield from operand.walk()


@dataclass(frozen=True)
class Number(Node):
    """A number."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:.12g}"


@dataclass(frozen=True)
class String(Node):
    """A string."""

    value: str

    def __str__(self) -> str:
        return _quoted(self.value)


@dataclass(frozen=True)
class Matcher:
    """A condition on a label; `operator` is `=`, `!=`, `=~` or `!~`."""

    label: str
    operator: str
    value: str

    def __str__(self) -> str:
        label = self.label if _LABEL.fullmatch(self.label) else _quoted(self.label)
        return f"{label}{self.operator}{_quoted(self.value)}"


@dataclass(frozen=True)
class Selector(Node):
    """Series by name and labels; with a `range` of the past, without one as they are."""

    metric: str
    matchers: tuple[Matcher, ...] = ()
    range: timedelta | None = None
    offset: timedelta | None = None
    at: str = ""

    def __str__(self) -> str:
        matchers = ",".join(map(str, self.matchers))
        braces = f"{{{matchers}}}" if matchers or not self.metric else ""
        window = f"[{write_duration(self.range)}]" if self.range else ""
        return f"{self.metric}{braces}{window}{self.at}{_offset(self.offset)}"


@dataclass(frozen=True)
class Subquery(Node):
    """An expression at many times of the past."""

    range: timedelta
    step: timedelta | None = None
    offset: timedelta | None = None
    at: str = ""

    def __str__(self) -> str:
        step = write_duration(self.step) if self.step else ""
        window = f"[{write_duration(self.range)}:{step}]"
        return f"{self.operands[0]}{window}{self.at}{_offset(self.offset)}"


@dataclass(frozen=True)
class Call(Node):
    """A function of its operands."""

    function: str

    def __str__(self) -> str:
        return f"{self.function}({_list(self.operands)})"


@dataclass(frozen=True)
class Grouping:
    """Which labels count: `by` or `without`, `on` or `ignoring` some."""

    keyword: str
    labels: tuple[str, ...]

    def __str__(self) -> str:
        return f" {self.keyword} ({_list(self.labels)})"


@dataclass(frozen=True)
class Aggregation(Node):
    """Many series made into few; a parameter, if any, is the first operand."""

    operator: str
    grouping: Grouping | None = None

    def __str__(self) -> str:
        grouping = f"{self.grouping} " if self.grouping else ""
        return f"{self.operator}{grouping}({_list(self.operands)})"


@dataclass(frozen=True)
class Binary(Node):
    """Two expressions and an operator; `extra` is `group_left` or `group_right`."""

    operator: str
    returns_bool: bool = False
    matching: Grouping | None = None
    extra: Grouping | None = None

    def __str__(self) -> str:
        modifiers = f"{' bool' if self.returns_bool else ''}{self.matching or ''}{self.extra or ''}"
        left, right = self.operands
        return f"{left} {self.operator}{modifiers} {right}"


@dataclass(frozen=True)
class Negation(Node):
    """An expression with a minus before it."""

    def __str__(self) -> str:
        return f"-{self.operands[0]}"


@dataclass(frozen=True)
class Parentheses(Node):
    """An expression in parentheses."""

    def __str__(self) -> str:
        return f"({self.operands[0]})"


def parse(expression: str) -> Node:
    """Return the tree of *expression*; `FlowgaugeError` if it is not PromQL."""
    told = repr(shorten(expression, _LONGEST_TOLD, placeholder="…"))
    if problem := _unbearable(expression):
        raise FlowgaugeError(f"{told} is PromQL that flowgauge does not read: {problem}")
    try:
        node = _node(promql_parser.parse(expression))
    except (ValueError, OverflowError) as error:
        why = shorten(str(error), _LONGEST_TOLD, placeholder="…")
        raise FlowgaugeError(f"{told} is not PromQL: {why}") from None
    except RecursionError:
        node = None
    except BaseException as error:
        # What the parser, which is Rust, did not expect either.
        if type(error).__name__ != "PanicException":
            raise
        problem = quote(str(error), _LONGEST_TOLD)
        raise FlowgaugeError(f"{told} is PromQL that flowgauge does not read: {problem}") from None
    if node is None or node.depth > _DEEPEST:
        raise FlowgaugeError(f"{told} is PromQL that flowgauge does not read: {_TOO_DEEP}")
    return node


def _unbearable(expression: str) -> str | None:
    """Return why *expression* is kept from the parser, whose stack it would exhaust, or its clock.

    promql-parser 0.12 ends the process for what is nested by the thousands, and panics at a time
    before 1970, and at ranges that no calendar has.
    """
    plain = _STRING.sub(lambda found: found["unclosed"] or '""', expression)
    depth = deepest = 0
    for mark in _BRACKETS.findall(plain):
        depth += 1 if mark in "([{" else -1
        deepest = max(deepest, depth)
    if deepest > _DEEPEST or len(_OPERATORS.findall(plain)) > _MOST_OPERATORS:
        return _TOO_DEEP
    if any(float(time) < 0 for time in _AT.findall(plain)):
        return "it is about a time before 1970"
    times = map(float, _SECONDS.findall(plain))
    if _NO_OFFSET.search(plain) or any(seconds > _MOST_SECONDS for seconds in times):
        return "it is about longer than a thousand years"
    return None


def parse_if_known(expression: str) -> Node | None:
    """Return the tree of *expression*, None if it is not PromQL that flowgauge knows."""
    try:
        return parse(expression)
    except FlowgaugeError:
        return None


def _node(parsed: promql_parser.Expr) -> Node:
    match parsed:
        case promql_parser.BinaryExpr():
            return _binary(parsed)
        case promql_parser.AggregateExpr():
            operands = (parsed.expr,) if parsed.param is None else (parsed.param, parsed.expr)
            return Aggregation(
                str(parsed.op), _grouping(parsed.modifier), operands=tuple(map(_node, operands))
            )
        case promql_parser.Call():
            return Call(parsed.func.name, operands=tuple(map(_node, parsed.args)))
        case promql_parser.ParenExpr():
            return Parentheses(operands=(_node(parsed.expr),))
        case promql_parser.UnaryExpr():
            return Negation(operands=(_node(parsed.expr),))
        case _:
            return _leaf(parsed)


def _leaf(parsed: promql_parser.Expr) -> Node:
    match parsed:
        # The parser lets a `[0]` pass, as a number; Prometheus does not.
        case promql_parser.MatrixSelector(range=timedelta() as window) if not window:
            raise ValueError("a range must be greater than 0")
        case promql_parser.SubqueryExpr(range=timedelta() as window) if not window:
            raise ValueError("a range must be greater than 0")
        case promql_parser.NumberLiteral():
            return Number(parsed.val)
        case promql_parser.StringLiteral():
            return String(parsed.val)
        case promql_parser.VectorSelector():
            return _selector(parsed, None)
        case promql_parser.MatrixSelector():
            return _selector(parsed.vector_selector, parsed.range)
        case promql_parser.SubqueryExpr(range=timedelta() as window):
            inner = (_node(parsed.expr),)
            return Subquery(window, parsed.step, parsed.offset, _at(parsed.at), operands=inner)
        case _:
            raise FlowgaugeError(f"{parsed} is PromQL that flowgauge does not know")


def _selector(parsed: promql_parser.VectorSelector, window: timedelta | None) -> Selector:
    if parsed.matchers.or_matchers:
        raise FlowgaugeError(f"{parsed} is PromQL that flowgauge does not know: `or` in braces")
    matchers = tuple(
        Matcher(
            matcher.name,
            # The operator's enumeration does not know its own text.
            str(matcher).removeprefix(matcher.name).partition('"')[0],
            matcher.value,
        )
        for matcher in parsed.matchers.matchers
    )
    return Selector(parsed.name or "", matchers, window, parsed.offset, _at(parsed.at))


def _binary(parsed: promql_parser.BinaryExpr) -> Binary:
    operands = (_node(parsed.lhs), _node(parsed.rhs))
    modifier = parsed.modifier
    if modifier is None:
        return Binary(str(parsed.op), operands=operands)
    keyword = _EXTRAS.get(_name(modifier.card))
    extra = Grouping(keyword, tuple(modifier.group_labels or ())) if keyword else None
    matching = _grouping(modifier.matching)
    return Binary(str(parsed.op), modifier.return_bool, matching, extra, operands=operands)


_EXTRAS = {"ManyToOne": "group_left", "OneToMany": "group_right"}
_KEYWORDS = {"By": "by", "Without": "without", "Include": "on", "Exclude": "ignoring"}


def _grouping(
    modifier: promql_parser.AggModifier | promql_parser.LabelModifier | None,
) -> Grouping | None:
    if modifier is None:
        return None
    return Grouping(_KEYWORDS[_name(modifier.type)], tuple(modifier.labels))


def _at(modifier: promql_parser.AtModifier | None) -> str:
    if modifier is None:
        return ""
    if modifier.at is not None:
        return f" @ {modifier.at.timestamp():.3f}"
    return f" @ {_name(modifier.type).lower()}()"


def _name(member: object) -> str:
    # The library's enumerations are not Python's: no `name`, no hash.
    return str(member).rpartition(".")[2]


def _offset(offset: timedelta | None) -> str:
    # None at all: as a duration, which is how it would be written, a 0 is refused.
    if not offset:
        return ""
    return f" offset {write_duration(offset)}"


def _list(items: tuple[object, ...]) -> str:
    return ", ".join(map(str, items))


def _quoted(value: str) -> str:
    # PromQL's strings follow Go's rules, which hold for all that JSON escapes.
    return json.dumps(value, ensure_ascii=False)
