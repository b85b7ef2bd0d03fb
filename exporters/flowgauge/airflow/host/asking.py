"""Calls into Airflow that may hang: waited for just so long, and then given up."""

import logging
import sys
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from flowgauge.background import in_background

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Asking"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Asking:
    """Calls to *whom*, one at a time.

    A call that is given up goes on in its thread, for nobody can take back what was sent: a task of
    Airflow 3 has one socket to its supervisor, where answers come in the order of the questions.
    Until that call ends, others are not begun: they would wait behind it.
    """

    def __init__(self, whom: str) -> None:
        self._whom = whom
        self._lock = Lock()
        self._given_up: Future[Any] | None = None

    def ask(self, what: str, question: Callable[[], _T], seconds: float) -> _T | None:
        """Return the answer, or None if there is none within *seconds*, or an error instead.

        *what* names the question in the log.
        """
        if self._given_up is not None and not self._given_up.done():
            _log.debug("%s: not asked, %s still owes an earlier answer", what, self._whom)
            return None
        _keep_answers_apart()
        asking = in_background(lambda: self._alone(question), "flowgauge-airflow")
        try:
            # Unlike `result`, this raises no error of the question's, and lets through those of
            # the task, such as Airflow's own time-out, which interrupt the wait.
            error = asking.exception(seconds)
        except TimeoutError:
            self._given_up = asking
            _log.warning("%s: %s did not answer within %g s", what, self._whom, seconds)
            return None
        if error is not None:
            _log.debug("%s: %s answered with an error: %r", what, self._whom, error)
            return None
        return asking.result()

    def _alone(self, question: Callable[[], _T]) -> _T:
        with self._lock:
            return question()


def _keep_answers_apart() -> None:
    """Let one thread at a time talk to the supervisor, on Airflow 3.0 and 3.1.

    From 3.2 on Airflow does so itself. Before, a task that asks for something while an abandoned
    call is still waiting would be handed that one's answer.
    """
    comms = sys.modules.get("airflow.sdk.execution_time.comms")
    decoder = getattr(comms, "CommsDecoder", None)
    if decoder is None or hasattr(decoder, "_thread_lock"):
        return
    send, lock = decoder.send, Lock()

    def send_alone(self: Any, *arguments: Any, **options: Any) -> Any:
        with lock:
            return send(self, *arguments, **options)

    decoder.send = send_alone
    decoder._thread_lock = lock  # noqa: SLF001 - the name 3.2 gives it; says that it is done
