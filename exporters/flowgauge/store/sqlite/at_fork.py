"""A fork finds no thread within SQLite, and no connection.

SQLite notes in a process's memory which locks it holds. A fork copies the notes and not the locks:
a child that opens the same file would rely on locks that nobody holds, and another process would
take the file's log away from under it (https://www.sqlite.org/howtocorrupt.html, section 2.6). What
is more, a mutex that another thread holds at that moment stays locked in the child for ever.

A thread whose disk hangs is waited for beyond its time, and not for ever: a child that is forked
then goes without SQLite, for as long as it lives.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakMethod

from flowgauge.store.errors import StoreUnavailableError

__all__ = ["close_before_forks", "within_sqlite"]

# A step ends by its deadline, unless the machine is very busy or the disk hangs.
_GRACE_SECONDS = 5.0


class _Gate:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        # The threads within, and until when.
        self._within: dict[int, float] = {}
        self._forking = False
        self._is_barred = False
        self.to_close: list[WeakMethod[Callable[[], None]]] = []

    @contextmanager
    def passed(self, deadline: float) -> Iterator[None]:
        """Keep forks of other threads waiting, for little longer than until the *deadline*.

        That is on `time.monotonic`. Raises `StoreUnavailableError` in a child of one that did not
        wait any longer.
        """
        me = threading.get_ident()
        with self._changed:
            if self._is_barred:
                raise StoreUnavailableError(
                    "this process was forked while the disk of the store hung, and goes without it:"
                    " see to the disk, and start the process anew"
                )
            self._changed.wait_for(lambda: not self._forking)
            self._within[me] = deadline
        try:
            yield
        finally:
            with self._changed:
                self._within.pop(me, None)
                self._changed.notify_all()

    def shut(self) -> None:
        """Wait for the threads within, and let nobody in before `reopen`."""
        self._changed.acquire()
        self._forking = True
        latest = max(self._others().values(), default=0.0) + _GRACE_SECONDS
        self._changed.wait_for(lambda: not self._others(), max(latest - time.monotonic(), 0.0))
        if not self._within:
            for method in self.to_close:
                if close := method():
                    close()
        self.to_close = [method for method in self.to_close if method()]

    def reopen(self) -> None:
        """Let everybody in again."""
        # A fork that began while this module was being loaded has shut nothing.
        if self._forking:
            self._forking = False
            self._changed.notify_all()
            self._changed.release()

    def reopen_in_child(self) -> None:
        """Bar SQLite if it was in use: the thread within is not here, its locks are."""
        others = self._others()
        self._is_barred |= bool(others)
        for each in others:
            del self._within[each]
        self.reopen()

    def _others(self) -> dict[int, float]:
        # A signal's handler may fork in the midst of a step of its own thread.
        me = threading.get_ident()
        return {thread: until for thread, until in self._within.items() if thread != me}


_gate = _Gate()
within_sqlite = _gate.passed


def close_before_forks(close: Callable[[], None]) -> None:
    """Have the method *close* called before each fork, for as long as its object lives."""
    _gate.to_close.append(WeakMethod(close))


os.register_at_fork(
    before=_gate.shut, after_in_parent=_gate.reopen, after_in_child=_gate.reopen_in_child
)
