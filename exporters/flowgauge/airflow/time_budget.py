"""MLflow's client, held to a time budget: by its public variables, and by what they leave open."""

import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

from flowgauge.airflow.deadline import LONGEST_SECONDS, Deadline
from flowgauge.background import in_background
from flowgauge.loading import loading

__all__ = ["mlflow_within"]

_T = TypeVar("_T")
_BOUNDS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
# MLflow's own answers are pages of up to some MB; what it reads as a stream is not bounded.
_LONGEST_ANSWER = 64 * 2**20
_PART = 2**16
_budget: ContextVar["_Budget | None"] = ContextVar("flowgauge_mlflow_budget", default=None)
_open_blocks = 0
_before: dict[str, str | None] = {}


@contextmanager
def mlflow_within(seconds: float) -> Iterator[None]:
    """Let MLflow's client wait no longer than *seconds* in all, in the block and in this thread.

    Two repetitions are tried, and each request may take what is left: MLflow's variables say so to
    MLflow, which reads them at every request. They bound neither the look-up of a name nor an
    answer that comes byte by byte; so each request is waited for beside, and given up in time.
    Whatever comes after fails at once, as a request that timed out.
    """
    outer = _budget.get()
    budget = _Budget(seconds if outer is None else min(seconds, outer.left))
    _watch({**_BOUNDS, _TIMEOUT: str(max(math.ceil(budget.left), 1))})
    token = _budget.set(budget)
    try:
        yield
    finally:
        _budget.reset(token)
        _unwatch()


class _Budget:
    """Seconds that requests may take, all together; what happens between them costs nothing."""

    def __init__(self, seconds: float) -> None:
        self.left = min(seconds, LONGEST_SECONDS)

    def spend(self, request: Callable[[Deadline], _T]) -> _T:
        deadline = Deadline(self.left)
        try:
            if deadline.left:
                asking = in_background(lambda: request(deadline), "mlflow-request")
                return asking.result(deadline.left)
        except TimeoutError:
            pass
        finally:
            self.left = deadline.left
        raise _used_up()


def _used_up() -> Exception:
    from requests.exceptions import ReadTimeout  # noqa: PLC0415 - costs a task 0.1 s

    return ReadTimeout("the time budget for MLflow is used up")


def _read(answer: Any, deadline: Deadline) -> Any:
    """Read an *answer* that is being streamed, up to a length, and none that nobody waits for."""
    from requests.exceptions import RequestException  # noqa: PLC0415 - see above

    content = bytearray()
    for part in answer.iter_content(_PART):
        content += part
        if len(content) > _LONGEST_ANSWER:
            answer.close()
            raise RequestException(f"an answer is longer than {_LONGEST_ANSWER // 2**20} MiB")
        if not deadline.left:
            answer.close()
            raise _used_up()
    # requests has no other way to say that what was streamed is all there is.
    answer._content = bytes(content)  # noqa: SLF001
    return answer


def _called_by_mlflow() -> bool:
    """Return whether MLflow is among the callers."""
    frame = sys._getframe()  # noqa: SLF001 - what `inspect` does, without reading the sources
    while frame := frame.f_back:  # type: ignore[assignment] # None ends the loop
        if str(frame.f_globals.get("__name__")).startswith("mlflow."):
            return True
    return False


def _watch(bounds: Mapping[str, str]) -> None:
    """Have the requests of MLflow's client go through the budget, as long as a block is open.

    Variables and the class of sessions are the whole process': the first block of any thread sets
    them, and the last one sets them back.
    """
    global _open_blocks  # noqa: PLW0603 - see above
    # A fork waits for this lock, which its child could not open.
    with loading():
        from requests import Session  # noqa: PLC0415 - costs a task 0.1 s

        _open_blocks += 1
        if _open_blocks > 1:
            return
        _before.update({name: os.environ.get(name) for name in bounds})
        os.environ.update(bounds)
        send = Session.send

        @wraps(send)
        def send_in_time(session: Session, *arguments: Any, **options: Any) -> Any:
            budget = _budget.get()
            if budget is None or not _called_by_mlflow():
                return send(session, *arguments, **options)

            def request(deadline: Deadline) -> Any:
                answer = send(session, *arguments, **{**options, "stream": True})
                return answer if options.get("stream") else _read(answer, deadline)

            return budget.spend(request)

        Session.send = send_in_time  # type: ignore[assignment, method-assign]


def _unwatch() -> None:
    global _open_blocks  # noqa: PLW0603 - see above
    with loading():
        from requests import Session  # noqa: PLC0415 - see above

        _open_blocks -= 1
        if _open_blocks:
            return
        for name, value in _before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        Session.send = Session.send.__wrapped__  # type: ignore[attr-defined, method-assign]
