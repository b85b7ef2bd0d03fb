"""A signal's exception, anywhere in a call."""

import concurrent.futures
import contextlib
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import flowgauge

__all__ = ["Interruption", "interrupt"]

_INTERRUPTED = (
    str(Path(flowgauge.__file__).parent),
    str(Path(concurrent.futures.__file__).parent),
    contextlib.__file__,
    queue.__file__,
    threading.__file__,
)


class Interruption(BaseException):
    """What Airflow raises in a task's main thread once its time is over: no `Exception`."""


def interrupt(call: Callable[[], object], at: int) -> tuple[int, Interruption | None]:
    """Make *call* and raise an `Interruption` in it, at that place of those it goes through.

    Python raises what a signal's handler does where a function begins, and where one of C's has
    ended: these are the places, in flowgauge and in what Python's context managers, locks and
    threads are made of. Returns how many it went through, and what was raised. Whoever interrupts
    it must hear of that.
    """
    places = 0
    raised = None

    def look(frame: FrameType, event: str, _: object) -> None:
        nonlocal places
        if event in {"call", "c_return"} and frame.f_code.co_filename.startswith(_INTERRUPTED):
            places += 1
            if places == at:
                raise Interruption

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        call()
    except Interruption as interruption:
        raised = interruption
    else:
        assert places < at
    finally:
        sys.setprofile(before)
    return places, raised
