"""Calls in forked processes, each killed (SIGKILL) at a place that it comes to.

`python -m stack.faults.killed_calls CALL PLACES EXPERIMENT SECONDS STEP [every] [from-request]`:
calls are made that are not killed, which shows the places (see `places`), and then one for each
STEP-th of them that is killed there, the first and the last time that it comes there, or *every*
time; *from-request* on, as before it they do the same whoever answers. Prints of each call its
number, whether its payload was written down (1) or not (0), and whether it was killed.

MLFLOW_TRACKING_URI may name several, one for each way in which MLflow is unwell.

The processes are forked from one that has made a call, so a kill costs some hundredths of a second.
Only where the PLACES are `imports` has it loaded what is not flowgauge's and nothing else.
"""

import gc
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import cache, partial, wraps
from itertools import count
from typing import Any

from stack.faults.places import Line, Passed, Place, Track, chosen, lines_of
from stack.faults.system_calls import follow, let_follow

__all__ = ["CALLS", "EVERY", "FROM_REQUEST", "PLACES"]

EVERY, FROM_REQUEST = "every", "from-request"
_URI = "MLFLOW_TRACKING_URI"
_FLUSH_SECONDS = 20.0
_STORE_SECONDS = 30.0


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


PLACES = ("lines", "imports", "system calls")
"""Lines of flowgauge; the first and the last of each module that is loaded; system calls."""


class _Calls:
    """Makes *call* in processes of their own, killed at *places*, or not at all."""

    def __init__(self, call: Callable[[int], None], places: str) -> None:
        self._call = call
        self._are_system_calls = places == "system calls"
        self._track = Track(modules=places == "imports")

    def passed(self, number: int) -> Sequence[Passed]:
        """Make the call *number* and return what it passed."""
        seen: list[Passed] = []

        def note(passed: Passed) -> bool:
            seen.append(passed)
            return False

        self._in_a_child(number, None, note)
        return seen if self._are_system_calls else [(0, line) for line in self._track.lines]

    def killed(self, number: int, place: Place) -> tuple[bool, bool]:
        """Make it up to *place*; return whether it wrote something down, and was killed."""
        left = place.nth

        def is_there(passed: Passed) -> bool:
            nonlocal left
            left -= passed == place.passed
            return not left

        return self._in_a_child(number, place, is_there)

    def _in_a_child(
        self, number: int, place: Place | None, is_there: Callable[[Passed], bool]
    ) -> tuple[bool, bool]:
        heard, told = os.pipe()
        self._track.clear()
        child = os.fork()
        if child == 0:
            went_wrong = 1
            try:
                _tell_of_puts(told)
                stop = _nothing if self._are_system_calls or not place else _killing(is_there)
                if self._are_system_calls:
                    let_follow()
                self._track.follow(stop)
                self._call(number)
                went_wrong = 0
            except BaseException:  # noqa: BLE001 - the process ends
                traceback.print_exc()
            finally:
                os._exit(went_wrong)
        os.close(told)
        if self._are_system_calls:
            status = follow(child, lambda system_call: is_there((system_call, self._track.line)))
        else:
            status = os.waitpid(child, 0)[1]
        with os.fdopen(heard, "rb") as hearing:
            wrote = bool(hearing.read())
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise SystemExit(f"call {number} raised an error")
        return wrote, os.WIFSIGNALED(status)


def _nothing(_: Line) -> None:
    pass


def _killing(is_there: Callable[[Passed], bool]) -> Callable[[Line], None]:
    def stop(line: Line) -> None:
        if is_there((0, line)):
            os.kill(os.getpid(), signal.SIGKILL)

    return stop


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


def main(call: str, places: str, experiment: str, seconds: float, step: int, *options: str) -> None:
    """See above."""
    # What MLflow does not take is no news.
    logging.disable()
    uris = os.environ[_URI].split()
    os.environ[_URI] = uris[0]
    log = partial(_log, "later" if call == "flush" else call, experiment, seconds)
    # What is loaded once is not gone through again; and the experiment is there.
    if places == "imports":
        _load_foreign(partial(log, 0))
    else:
        _be_patient()
        log(0)
    if call == "flush":
        _flush()
    _say(0, wrote=True, killed=False)
    # Children need not copy what they only look at.
    gc.freeze()
    numbers = count(1)
    calls = _Calls(log if call != "flush" else lambda _: _flush(), places)

    def prepared(way: int) -> int:
        os.environ[_URI] = uris[way]
        number = next(numbers)
        if call == "flush":
            log(number)
        return number

    ways = []
    for way in range(len(uris)):
        number = prepared(way)
        ways.append(calls.passed(number))
        _say(number, wrote=True, killed=False)
    after = _request() if FROM_REQUEST in options else None
    for place in list(chosen(ways, after, every=EVERY in options))[::step]:
        number = prepared(place.way)
        wrote, killed = calls.killed(number, place)
        _say(number, wrote=wrote or call == "flush", killed=killed)


def _request() -> set[Line]:
    """Return the lines that every request to MLflow goes through."""
    from flowgauge.tracking.client import TrackingClient  # noqa: PLC0415 - may be what is tried

    return lines_of(TrackingClient._send.__code__)  # noqa: SLF001


def _say(number: int, *, wrote: bool, killed: bool) -> None:
    print(number, int(wrote), int(killed), flush=True)


if __name__ == "__main__":
    _, call, places, experiment, seconds, step, *options = sys.argv
    main(call, places, experiment, float(seconds), int(step), *options)
