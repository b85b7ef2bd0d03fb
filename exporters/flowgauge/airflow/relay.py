"""Emptying the outbox, whether or not anybody logs."""

import time
from collections.abc import Callable
from threading import Event
from typing import Protocol

from flowgauge.airflow.connection import Connection
from flowgauge.airflow.outbox import Flushed, Refusals, Sender
from flowgauge.airflow.permit import permit_interval, wait_for_permit
from flowgauge.airflow.spool import SpoolState, drain_spool, spool_state
from flowgauge.complaint import Complaint
from flowgauge.errors import FlowgaugeError
from flowgauge.store.outbox import OutboxState
from flowgauge.store.store import Store

__all__ = ["Observer", "Relay"]

# How soon an entry that comes into an empty outbox is seen.
_IDLE_SECONDS = 1.0
_SEND_SECONDS = 10.0
_PROBE_SECONDS = 5.0
_SPOOL_SECONDS = 1.0
# Between two looks at how full outbox and spool are, which takes longer the fuller they are.
_LOOK_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


class Observer(Protocol):
    """Is told how the relay fares."""

    def saw(self, state: OutboxState) -> None:
        """Note how full the outbox is."""

    def saw_spool(self, state: SpoolState) -> None:
        """Note what lies in the spool."""

    def sent(self, flushed: Flushed) -> None:
        """Note what came of one entry that was tried."""

    def is_up(self, up: bool) -> None:
        """Note whether both the store and MLflow answered."""


class Relay:
    """Sends the entries of *store* to what *connect* returns, oldest first, until *stop* is set.

    It goes at an even pace, one entry after the other through the line that the calls of tasks
    wait in: while both want all that the rate limit allows, they take turns, and neither finds a
    window that the other has filled in one go. Several relays share the work.

    While MLflow is away it is asked whether it is back, at most half a minute apart; no entry is
    tried and no permit is taken meanwhile.
    """

    def __init__(
        self,
        store: Store,
        connect: Callable[[], Connection],
        observer: Observer,
        stop: Event,
    ) -> None:
        self._store = store
        self._connect = connect
        self._observer = observer
        self._stop = stop
        self._away = False
        self._pause = _IDLE_SECONDS
        self._looked = -_LOOK_SECONDS
        self._refusals = Refusals()
        self._complaint = Complaint("Sending what the outbox holds")

    def run(self) -> None:
        """Return once *stop* is set and no entry is held."""
        while not self._stop.is_set():
            self._stop.wait(self._turn())

    def _turn(self) -> float:
        """Send one entry, if there is one and MLflow is there; return the seconds to the next."""
        try:
            pause = self._attempt()
        # MlflowClient, SQLAlchemy and login plugins raise what they like: the relay goes on.
        except Exception as error:  # noqa: BLE001
            defect = None if isinstance(error, FlowgaugeError) else error
            self._complaint.raise_(str(error), defect)
            self._observer.is_up(False)
            return max(self._back_off(), getattr(error, "retry_after_seconds", None) or 0.0)
        self._complaint.settle()
        self._observer.is_up(True)
        self._away = False
        self._pause = _IDLE_SECONDS
        return pause

    def _look(self) -> None:
        self._observer.saw_spool(spool_state())
        drain_spool(self._store, seconds=_SPOOL_SECONDS)
        self._observer.saw(self._store.outbox.state())
        self._looked = time.monotonic()

    def _attempt(self) -> float:
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._look()
        connection = self._connect()
        if self._away:
            connection.probe(_PROBE_SECONDS)
        if not self._store.outbox.is_due():
            return _IDLE_SECONDS
        try:
            wait_for_permit(sleep=self._sleep)
        except _StoppedError:
            return 0.0
        permitted = time.monotonic()
        sender = Sender(self._store, connection, self._refusals)
        sender.send_oldest(_SEND_SECONDS)
        self._observer.sent(sender.flushed)
        if sender.flushed.problem:
            raise sender.flushed.problem
        return max(permitted + permit_interval(self._store) - time.monotonic(), 0.0)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _StoppedError

    def _back_off(self) -> float:
        self._away = True
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        return pause


class _StoppedError(Exception):
    """The wait for a permit is over: it is not wanted any more."""
