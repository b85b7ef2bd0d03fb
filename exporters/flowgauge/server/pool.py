"""How full a worker's database pools are, and who waits for them.

SQLAlchemy announces neither a wait nor a time-out, and its `checkin` event comes before the
connection is back. So every `Pool.connect`, the public door through which all connections leave,
is timed, and the pools' figures are read once a second.
"""

import functools
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from flowgauge.server.current import CURRENT
from flowgauge.server.mlflow_host import connection_limit, store_of

if TYPE_CHECKING:
    from flowgauge.server.containment import Containment
    from flowgauge.server.instruments import Instruments

__all__ = ["PoolWatch"]


class PoolWatch:
    """Every living `QueuePool` of this process; SQLAlchemy's other pools have no limit to reach.

    Whatever goes wrong in watching, SQLAlchemy hands out connections as ever.
    """

    def __init__(
        self,
        instruments: "Instruments",
        contained: "Containment",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instruments = instruments
        self._contained = contained
        self._clock = clock
        self._lock = threading.Lock()
        self._users: WeakKeyDictionary[QueuePool, _PoolUsers] = WeakKeyDictionary()
        self._shown: set[str] = set()

    def install(self) -> None:
        """Time every `QueuePool.connect` of this process from now on."""
        connect = QueuePool.connect

        @functools.wraps(connect)
        def timed(pool: QueuePool) -> PoolProxiedConnection:
            users = None
            with self._contained:
                users = self._users_of(pool)
            if users is None:
                return connect(pool)
            with users.waiting_one():
                return connect(pool)

        QueuePool.connect = timed  # type: ignore[assignment, method-assign]

    def publish(self) -> None:
        """Set the gauges to what the pools say now; those of pools that are gone to NaN.

        Not from SQLAlchemy's events: some come from the garbage collector, which may run while
        this very thread holds prometheus_client's lock.
        """
        with self._lock:
            living = list(self._users.items())
        for pool, users in living:
            self._show(users.name, pool.checkedout(), connection_limit(pool), users.waiting)
        names = {users.name for _, users in living}
        for gone in self._shown - names:
            self._show(gone, math.nan, math.nan, math.nan)
        self._shown = names

    def _show(self, name: str, connections: float, limit: float, waiting: float) -> None:
        self._instruments.pool_connections.labels(name).set(connections)
        self._instruments.pool_limit.labels(name).set(limit)
        self._instruments.pool_waiting.labels(name).set(waiting)

    def _users_of(self, pool: QueuePool) -> "_PoolUsers":
        with self._lock:
            users = self._users.get(pool)
            if users is None:
                taken = {users.name for users in self._users.values()}
                name = _free_name(taken)
                users = _PoolUsers(name, self._instruments, self._contained, self._clock)
                self._users[pool] = users
            return users


class _PoolUsers:
    """The threads that ask one pool for a connection."""

    def __init__(
        self,
        name: str,
        instruments: "Instruments",
        contained: "Containment",
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.waiting = 0
        self._contained = contained
        self._clock = clock
        self._lock = threading.Lock()
        self._wait = instruments.pool_wait.labels(name)
        self._timeouts = instruments.pool_timeouts.labels(name)

    @contextmanager
    def waiting_one(self) -> Iterator[None]:
        start = self._clock()
        self._add(1)
        try:
            yield
        except PoolTimeoutError:
            with self._contained:
                self._timeouts.inc()
                request = CURRENT.get()
                if request:  # MLflow answers 400, as if the client were to blame
                    request.waited_in_vain = True
            raise
        finally:
            self._add(-1)
            with self._contained:
                self._wait.observe(self._clock() - start)

    def _add(self, threads: int) -> None:
        with self._lock:
            self.waiting += threads


def _free_name(taken: set[str]) -> str:
    """Return a name for a pool that is asked for its first connection.

    It is the MLflow store that asks (tracking, model_registry, jobs, auth, …): a name that people
    know and that every worker chooses alike. A second pool of a store, say that of its read
    replica, is numbered.
    """
    name = _asking_store()
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _asking_store() -> str:
    for frame, _ in traceback.walk_stack(None):
        store = store_of(frame.f_globals.get("__name__", ""))
        if store:
            return store
    return "other"
