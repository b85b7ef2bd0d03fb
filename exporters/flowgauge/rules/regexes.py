"""Regular expressions of label matchers, as far as their alternatives go."""

from collections.abc import Iterator

__all__ = ["without_one_branch"]

_Span = tuple[int, int]


def without_one_branch(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield each branch of each `a|b` in *pattern*, and the pattern without it."""
    for branches in _alternations(pattern):
        for number, (start, end) in enumerate(branches):
            if number + 1 < len(branches):
                rest = pattern[:start] + pattern[end + 1 :]
            else:
                rest = pattern[: start - 1] + pattern[end:]
            yield pattern[start:end], rest


def _alternations(pattern: str) -> list[list[_Span]]:
    """Return where the branches lie, of the whole pattern and of each group that has some."""
    found: list[list[_Span]] = []
    open_: list[list[int]] = [[0]]
    position = 0
    while position < len(pattern):
        match pattern[position]:
            case "\\":
                position += 1
            case "[":
                position = _end_of_class(pattern, position)
            case "(":
                open_.append([_start_of_group(pattern, position)])
            case "|":
                open_[-1].append(position + 1)
            case ")" if len(open_) > 1:
                found.append(_spans(open_.pop(), position))
        position += 1
    found.append(_spans(open_[0], len(pattern)))
    return [spans for spans in found if len(spans) > 1]


def _spans(starts: list[int], end: int) -> list[_Span]:
    return list(zip(starts, [*(start - 1 for start in starts[1:]), end], strict=True))


def _end_of_class(pattern: str, position: int) -> int:
    # A bracket that comes first is one of the class: []a], [^]a].
    first = position + 2 if pattern[position + 1 : position + 2] == "^" else position + 1
    position = first
    while position < len(pattern) and (pattern[position] != "]" or position == first):
        position += 2 if pattern[position] == "\\" else 1
    return position


def _start_of_group(pattern: str, position: int) -> int:
    """Return where the branches begin: after `(`, or after `(?:`, `(?i:`, `(?P<name>`."""
    if pattern[position + 1 : position + 2] != "?":
        return position + 1
    ends = [end for end in (pattern.find(":", position), pattern.find(">", position)) if end > 0]
    return min(ends, default=position) + 1
