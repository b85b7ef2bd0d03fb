"""A store whose server is killed while its replica lags behind: what it took, what is left."""

import itertools
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import psycopg

from flowgauge.store import NewEntry, StoreUnavailableError, open_store
from stack.postgres import Postgres, postgres, standby
from stack.process import LOOPBACK, stopped, wait_for
from stack.redis import redis_cluster, sentinel_set

__all__ = ["Outcome", "Replicated", "cluster", "lose_primary", "postgres_pair", "sentinels"]

_WRITERS = 3
# What is on its way to a replica that hangs lies in buffers of the network, which arrive: in all
# it has to be more than these take.
_BODY_BYTES = 500_000
_WHILE_BEHIND = 60
_PATIENT = 60


@dataclass(frozen=True)
class Replicated:
    """A store with a replica, whose processes are *replica*.

    *kill* kills the primary, *follow* returns once the replica has taken its place.
    """

    url: str
    replica: Sequence[int]
    kill: Callable[[], object]
    follow: Callable[[], object]


@dataclass(frozen=True)
class Outcome:
    """The payloads that callers were told are kept, how many they were not, what is there."""

    kept: frozenset[str]
    refused: int
    found: frozenset[str]

    @property
    def lost(self) -> int:
        """How many are gone that were said to be kept."""
        return len(self.kept - self.found)


def lose_primary(store: Replicated, *, timeout_seconds: float = 1.0) -> Outcome:
    """Put payloads in, stop the replica, put more in, kill the primary; see what is left."""
    kept: list[str] = []
    refused: list[str] = []
    over = Event()

    def put(number: int) -> None:
        with closing(open_store(store.url, timeout_seconds=timeout_seconds)) as own:
            for turn in itertools.count():
                if over.is_set():
                    return
                entry = NewEntry(f"{number}-{turn}", "etl", "load", secrets.token_hex(_BODY_BYTES))
                try:
                    own.outbox.put(entry)
                except StoreUnavailableError:
                    refused.append(entry.entry_id)
                else:
                    kept.append(entry.entry_id)

    with ThreadPoolExecutor(_WRITERS) as pool:
        work = [pool.submit(put, number) for number in range(_WRITERS)]
        try:
            wait_for(lambda: len(kept) > _WRITERS, "payloads are put in")
            with stopped(*store.replica):
                before = len(kept)
                wait_for(
                    lambda: len(kept) - before > _WHILE_BEHIND or len(refused) >= _WRITERS,
                    "payloads are put in while the replica hangs",
                )
                store.kill()
            store.follow()
        finally:
            over.set()
    for each in work:
        each.result()
    with closing(open_store(store.url, timeout_seconds=_PATIENT)) as own:
        found = frozenset(entry.entry_id for entry in own.outbox.each_entry(100_000))
    return Outcome(frozenset(kept), len(refused), found)


@contextmanager
def sentinels(folder: Path, query: str = "") -> Iterator[Replicated]:
    """Run a Redis with Sentinels, whose store has a *query* in its URL."""
    with sentinel_set(folder) as running:
        master = running.master
        yield Replicated(
            f"{running.url}{query}",
            [running.servers[running.replica].pid],
            running.servers[master].kill,
            lambda: wait_for(lambda: running.master != master, "the replica is master"),
        )


@contextmanager
def cluster(folder: Path, query: str = "") -> Iterator[Replicated]:
    """Run a Redis Cluster."""
    with redis_cluster(folder, "{flowgauge}:") as running:
        (replica,) = set(running.servers) - set(running.masters())
        owner = running.servers[running.owner]

        def kill() -> None:
            owner.kill()
            owner.wait()

        yield Replicated(
            f"{running.url}{query}",
            [running.servers[replica].pid],
            kill,
            lambda: wait_for(lambda: running.owner == replica, "the replica has the slot"),
        )


@contextmanager
def postgres_pair(folder: Path, synchronous_standby_names: str = "") -> Iterator[Replicated]:
    """Run a PostgreSQL with a standby called `standby`."""
    with ExitStack() as stack:
        primary = stack.enter_context(postgres(folder / "primary"))
        other = stack.enter_context(standby(folder / "standby", primary))
        with closing(open_store(primary.url, timeout_seconds=_PATIENT)) as store:
            store.init()
        if synchronous_standby_names:
            _wait_for_standbys(primary, synchronous_standby_names)
        hosts = f"{LOOPBACK}:{primary.port},{LOOPBACK}:{other.port}"
        yield Replicated(
            primary.url.replace(f"{LOOPBACK}:{primary.port}", hosts),
            other.pids,
            primary.crash,
            other.promote,
        )


def _wait_for_standbys(primary: Postgres, names: str) -> None:
    """Let *primary* wait for its standbys, which only then are to be there."""
    with psycopg.connect(primary.url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = {names}".encode())
        connection.execute("SELECT pg_reload_conf()")
        states = "SELECT sync_state FROM pg_stat_replication"
        wait_for(
            lambda: connection.execute(states).fetchall() == [("sync",)],
            "the standby is waited for",
        )
