"""How full a worker's database pools are, and who waits for them.

SQLAlchemy announces neither a wait nor a time-out, and its `checkin` event comes before the
connection is back. So every `Pool.connect`, the public door through which all connections leave,
is timed, and a thread reads the pools' public figures once a second. Only the overflow limit is
read from a private attribute: see `connection_limit`.
"""

import functools
import math
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

if TYPE_CHECKING:
    from flowgauge.server.instruments import Instruments

__all__ = ["PoolWatch", "connection_limit"]

_EVERY_SECONDS = 1.0
# mlflow.store.tracking.sqlalchemy_store -> tracking; mlflow.store.db makes every store's engine.
_MLFLOW_STORE = re.compile(r"mlflow\.(?:store\.(?!db\b)|server\.)(\w+)")


def connection_limit(pool: QueuePool) -> float:
    """Return how many connections *pool* may hand out at a time: size plus overflow.

    It is infinite for a pool without a limit. `_max_overflow` has no public counterpart.
    """
    max_overflow: int = pool._max_overflow  # noqa: SLF001 - no public counterpart
    return math.inf if max_overflow < 0 else pool.size() + max_overflow


class PoolWatch:
    """Every living `QueuePool` of this process; SQLAlchemy's other pools have no limit to reach."""

    def __init__(
        self, instruments: "Instruments", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._instruments = instruments
        self._clock = clock
        self._lock = threading.Lock()
        self._users: WeakKeyDictionary[QueuePool, _PoolUsers] = WeakKeyDictionary()
        self._shown: set[str] = set()

    def install(self) -> None:
        """Time every `QueuePool.connect` of this process from now on."""
        connect = QueuePool.connect

        @functools.wraps(connect)
        def timed(pool: QueuePool) -> PoolProxiedConnection:
            with self._users_of(pool).waiting_one():
                return connect(pool)

        QueuePool.connect = timed  # type: ignore[assignment, method-assign]

    def publish_forever(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Publish once a second; for a daemon thread.

        Not from SQLAlchemy's events: some come from the garbage collector, which may run while
        this very thread holds prometheus_client's lock.
        """
        while True:
            self.publish()
            sleep(_EVERY_SECONDS)

    def publish(self) -> None:
        """Set the gauges to what the pools say now; those of pools that are gone to NaN."""
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
                users = self._users[pool] = _PoolUsers(name, self._instruments, self._clock)
            return users


class _PoolUsers:
    """The threads that ask one pool for a connection."""

    def __init__(self, name: str, instruments: "Instruments", clock: Callable[[], float]) -> None:
        self.name = name
        self.waiting = 0
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
            self._timeouts.inc()
            raise
        finally:
            self._add(-1)
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
        match = _MLFLOW_STORE.match(frame.f_globals.get("__name__", ""))
        if match:
            return match[1]
    return "other"
