"""Calls in forked processes, each killed (SIGKILL) at a place that it comes to.

`python -m stack.faults.killed_calls CALL PLACES EXPERIMENT STEP SECONDS`: the call with the number
N is killed at the Nth place, of each STEP, until some in a row have come to their end. Prints the
number of each, and whether its payload was written down (1) or not (0). The first, 0, is not
killed.

The processes are forked from one that has made a call, so a kill costs some hundredths of a second.
Only where the PLACES are `imports` has it loaded what is not flowgauge's and nothing else.
"""

import gc
import importlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import cache, partial, wraps
from importlib.util import find_spec
from types import FrameType
from typing import Any

from stack.faults.dying import WAYS_TO_DIE
from stack.faults.system_calls import follow, let_follow

__all__ = ["CALLS", "PLACES"]

# A dying MLflow dies in all its ways before all calls are over.
_THROUGH = WAYS_TO_DIE
_FLUSH_SECONDS = 20.0
_STORE_SECONDS = 30.0

_spec = find_spec("flowgauge")
assert _spec
assert _spec.origin
_FLOWGAUGE = os.path.dirname(_spec.origin)  # noqa: PTH120 - asked at every call of any function


def _log(delivery: str, experiment: str, seconds: float, number: int) -> None:
    from flowgauge.airflow import log_with_mlflow  # noqa: PLC0415 - may be what is tried

    payload = {"rows": 1, "params": {"call": str(number)}}
    log_with_mlflow(payload, experiment=experiment, budget_seconds=seconds, delivery=delivery)


def _flush() -> None:
    from flowgauge.airflow.connection import connect  # noqa: PLC0415 - see above
    from flowgauge.airflow.outbox import flush  # noqa: PLC0415
    from flowgauge.airflow.shared_store import shared_store  # noqa: PLC0415

    flush(shared_store(), connect(), seconds=_FLUSH_SECONDS, most=1)


CALLS = ("now", "later", "flush")
"""A log call, one for later, or the sending of one that is for later."""


def _killer(line: int) -> Callable[[FrameType, str, Any], Any]:
    """Return a trace function that kills this process at the *line*-th line of flowgauge."""
    passed = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal passed
        if not frame.f_code.co_filename.startswith(_FLOWGAUGE):
            return None
        if event == "line":
            passed += 1
            if passed == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def _at_a_line(number: int) -> None:
    killer = _killer(number)
    # SQLite's steps are done in a thread of their own.
    threading.settrace(killer)
    sys.settrace(killer)


def _wait(child: int, _: int) -> int:
    return os.waitpid(child, 0)[1]


PLACES: dict[str, tuple[Callable[[int], object], Callable[[int, int], int]]] = {
    "lines": (_at_a_line, _wait),
    "imports": (_at_a_line, _wait),
    "system calls": (lambda _: let_follow(), follow),
}
"""Lines of flowgauge, the same in a process that loads it, or system calls."""


def _in_a_child(call: Callable[[], None], places: str, number: int) -> tuple[bool, bool]:
    """Return whether *call*, in a process of its own, wrote something down and came to its end."""
    arm, wait = PLACES[places]
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        went_wrong = 1
        try:
            _tell_of_puts(told)
            arm(number)
            call()
            went_wrong = 0
        except BaseException:  # noqa: BLE001 - the process ends
            traceback.print_exc()
        finally:
            os._exit(went_wrong)
    os.close(told)
    status = wait(child, number)
    with os.fdopen(heard, "rb") as hearing:
        wrote = bool(hearing.read())
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"call {number} raised an error")
    return wrote, os.WIFEXITED(status)


def _tell_of_puts(told: int) -> None:
    """Have this process write to *told* when the store has said that it has a payload."""
    from flowgauge.store.outbox import Outbox  # noqa: PLC0415 - may be what is tried

    put = Outbox.put

    @wraps(put)
    def noticed(*arguments: Any, **options: Any) -> None:
        put(*arguments, **options)
        os.write(told, b"1")

    Outbox.put = noticed  # type: ignore[method-assign]


def _be_patient() -> None:
    """Have this process wait for the store: on a busy machine, half a second would make it down."""
    from flowgauge.airflow import shared_store  # noqa: PLC0415 - may be what is tried
    from flowgauge.store import open_store  # noqa: PLC0415

    shared_store._store = cache(partial(open_store, timeout_seconds=_STORE_SECONDS))  # noqa: SLF001


def _load_foreign(call: Callable[[], None]) -> None:
    """Load all that *call* does, but for flowgauge."""
    heard, told = os.pipe()
    if os.fork() == 0:
        call()
        os.write(told, " ".join(sys.modules).encode())
        os._exit(0)
    os.close(told)
    with os.fdopen(heard) as hearing:
        for name in hearing.read().split():
            if not name.startswith(("flowgauge", "__main__")):
                importlib.import_module(name)
    os.wait()


def main(call: str, places: str, experiment: str, step: int, seconds: float) -> None:
    """See above."""
    # What MLflow does not take is no news.
    logging.disable()
    log = partial(_log, "later" if call == "flush" else call, experiment, seconds)
    # What is loaded once is not gone through again; and the experiment is there.
    if places == "imports":
        _load_foreign(partial(log, 0))
    else:
        _be_patient()
        log(0)
    if call == "flush":
        _flush()
    print(0, 1, flush=True)
    # Children need not copy what they only look at.
    gc.freeze()
    number, through = 0, 0
    while through < _THROUGH:
        number += step
        if call == "flush":
            log(number)
            _, ended = _in_a_child(_flush, places, number)
            wrote = True
        else:
            wrote, ended = _in_a_child(partial(log, number), places, number)
        through = through + 1 if ended else 0
        print(number, int(wrote), flush=True)


if __name__ == "__main__":
    _, call, places, experiment, step, seconds = sys.argv
    main(call, places, experiment, int(step), float(seconds))
