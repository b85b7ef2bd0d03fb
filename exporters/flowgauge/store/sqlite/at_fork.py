"""A fork finds no thread within SQLite, and no connection.

SQLite notes in a process's memory which locks it holds. A fork copies the notes and not the locks:
a child that opens the same file would rely on locks that nobody holds, and another process would
take the file's log away from under it (https://www.sqlite.org/howtocorrupt.html, section 2.6). What
is more, a mutex that another thread holds at that moment stays locked in the child for ever.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakMethod

__all__ = ["close_before_forks", "within_sqlite"]


class _Gate:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._within: set[int] = set()
        self._forking = False
        self.to_close: list[WeakMethod[Callable[[], None]]] = []

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Keep forks of other threads waiting."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not self._forking)
            self._within.add(me)
        try:
            yield
        finally:
            with self._changed:
                self._within.discard(me)
                self._changed.notify_all()

    def shut(self) -> None:
        """Wait for the threads within, and let nobody in before `reopen`."""
        self._changed.acquire()
        self._forking = True
        # A signal's handler may fork in the midst of a step of its own thread.
        me = {threading.get_ident()}
        self._changed.wait_for(lambda: self._within <= me)
        if not self._within:
            for method in self.to_close:
                if close := method():
                    close()
        self.to_close = [method for method in self.to_close if method()]

    def reopen(self) -> None:
        self._forking = False
        self._changed.notify_all()
        self._changed.release()


_gate = _Gate()
within_sqlite = _gate.passed


def close_before_forks(close: Callable[[], None]) -> None:
    """Have the method *close* called before each fork, for as long as its object lives."""
    _gate.to_close.append(WeakMethod(close))


os.register_at_fork(before=_gate.shut, after_in_parent=_gate.reopen, after_in_child=_gate.reopen)
