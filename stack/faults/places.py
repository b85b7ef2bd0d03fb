"""Where a call can be killed, as a call that was not killed has shown.

A place is a line of flowgauge, or a system call that is made from such a line. What a call does
again, in a loop or by calling a function twice, is the same place: it is killed there the first
time and the last.
"""

import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from types import CodeType, FrameType
from typing import Any, NamedTuple

__all__ = ["Line", "Passed", "Place", "Track", "chosen", "lines_of"]

_spec = find_spec("flowgauge")
assert _spec
assert _spec.origin
_FLOWGAUGE = os.path.dirname(_spec.origin)  # noqa: PTH120 - asked at every call of any function
_MOST = 1_000_000
_WORD = 8

Line = int
"""Stands for a line of a file: the same in all processes that are forked from one."""

Passed = tuple[int, Line]
"""A system call's number, or 0, and the line."""


class Place(NamedTuple):
    """What is passed for the *nth* time, by a call that is made in the *way* of that number."""

    passed: Passed
    nth: int
    way: int


class Track:
    """The lines that a process goes through, kept where the one that forked it can read them.

    Of *modules* alone it keeps each line of one as the same one: its loading touches nothing else.
    """

    def __init__(self, *, modules: bool) -> None:
        self._modules = modules
        self._seen = memoryview(mmap.mmap(-1, (_MOST + 1) * _WORD)).cast("q")

    def clear(self) -> None:
        """Forget them."""
        self._seen[0] = 0

    @property
    def lines(self) -> Sequence[Line]:
        """All of them, in their order."""
        return self._seen[1 : self._seen[0] + 1].tolist()

    @property
    def line(self) -> Line:
        """The last of them: where the process is."""
        return self._seen[self._seen[0]] if self._seen[0] else 0

    def follow(self, stop: Callable[[Line], None]) -> None:
        """Have this process keep its lines from now on, and call *stop* at each."""

        def trace(frame: FrameType, event: str, _: object) -> Any:
            if not frame.f_code.co_filename.startswith(_FLOWGAUGE):
                return None
            if event == "line" and not (self._modules and frame.f_code.co_name != "<module>"):
                line = hash((frame.f_code.co_filename, 0 if self._modules else frame.f_lineno))
                self._seen[0] += 1
                self._seen[self._seen[0]] = line
                stop(line)
            return trace

        # SQLite's steps are done in a thread of their own.
        threading.settrace(trace)
        sys.settrace(trace)


def lines_of(code: CodeType) -> set[Line]:
    """Return the lines of a function."""
    return {hash((code.co_filename, number)) for *_, number in code.co_lines()}


def chosen(
    ways: Sequence[Sequence[Passed]], after: set[Line] | None = None, *, every: bool
) -> Iterator[Place]:
    """Yield where to kill, of what calls made in several *ways* have passed.

    Each is passed in one of the ways in which it can be, the first and the last time, or *every*
    time. What comes before the first of the lines *after* is left out.
    """
    found: dict[Passed, dict[int, list[int]]] = {}
    for way, passed in enumerate(ways):
        times: dict[Passed, int] = {}
        begun = after is None
        for each in passed:
            begun = begun or each[1] in (after or ())
            times[each] = times.get(each, 0) + 1
            if begun:
                found.setdefault(each, {}).setdefault(way, []).append(times[each])
    for number, (each, by_way) in enumerate(found.items()):
        way = list(by_way)[number % len(by_way)]
        nths = by_way[way] if every else sorted({by_way[way][0], by_way[way][-1]})
        for nth in nths:
            yield Place(each, nth, way)
