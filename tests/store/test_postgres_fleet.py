"""A PostgreSQL with a standby: the primary is another one, or dies."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from flowgauge.metrics import DAG_LOGS
from flowgauge.store import Count, Store, StoreUnavailableError, open_store
from stack.fleet import run_fleet
from stack.postgres import Postgres, postgres, standby
from stack.process import LOOPBACK, wait_for
from tests.counting import pairs, rate_limit

_PATIENT = 60


@dataclass(frozen=True)
class _Pair:
    """A primary and a standby that has all of its schema; `url` names the standby first."""

    primary: Postgres
    standby: Postgres

    @property
    def url(self) -> str:
        hosts = f"{LOOPBACK}:{self.standby.port},{LOOPBACK}:{self.primary.port}"
        return self.primary.url.replace(f"{LOOPBACK}:{self.primary.port}", hosts)

    def kill_primary(self) -> None:
        """Kill it, and return once the standby has taken its place."""
        self.primary.crash()
        self.standby.promote()


@pytest.fixture
def pair(folder: Path) -> Iterator[_Pair]:
    """A primary and its standby that the test may break."""
    with ExitStack() as stack:
        primary = stack.enter_context(postgres(folder / "primary"))
        with closing(open_store(primary.url, timeout_seconds=_PATIENT)) as store:
            store.init()
        yield _Pair(primary, stack.enter_context(standby(folder / "standby", primary)))


def _add(store: Store) -> None:
    store.counts.add(Count(DAG_LOGS, ("etl", "load")))


def _logs(store: Store) -> float:
    return sum(each.logs for each in pairs(store))


def _set_read_only(server: Postgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")

    def is_read_only() -> bool:
        with psycopg.connect(server.url) as connection:
            shown = connection.execute("SHOW default_transaction_read_only").fetchone()
        return shown == ("on",)

    wait_for(is_read_only, "the server takes no more writes")


def test_the_store_is_at_the_primary_wherever_it_stands_in_the_url(pair: _Pair) -> None:
    """A standby that is named first is passed by; alone, the sentence says what it is."""
    with closing(open_store(pair.url, timeout_seconds=_PATIENT)) as store:
        _add(store)
        assert _logs(store) == 1
    with pytest.raises(StoreUnavailableError, match="is a read-only replica: name the primary"):
        _add(open_store(pair.standby.url, timeout_seconds=10))


def test_a_connection_to_what_was_the_primary_is_left(pair: _Pair) -> None:
    """After a planned change of places, who was connected goes on at the new primary at once."""
    with (
        closing(open_store(pair.url, timeout_seconds=_PATIENT)) as store,
        closing(open_store(pair.standby.url, timeout_seconds=_PATIENT)) as there,
    ):
        _add(store)
        wait_for(lambda: _logs(there) == 1, "the standby has it")
        _set_read_only(pair.primary)
        pair.standby.promote()
        _add(store)
        assert _logs(there) == 2


def test_a_step_waits_for_the_standby_to_take_over(pair: _Pair) -> None:
    """Who comes between the primary's death and the next one waits; without any, its time-out."""
    with (
        closing(open_store(pair.url, timeout_seconds=_PATIENT)) as store,
        ThreadPoolExecutor(1) as beside,
    ):
        _add(store)
        pair.primary.crash()
        with pytest.raises(StoreUnavailableError, match=r"read-only replica|cannot be reached"):
            _add(open_store(pair.url))
        waiting = beside.submit(_add, store)
        pair.standby.promote()
        waiting.result()
        assert _logs(store) >= 1


def test_a_window_is_exact_but_for_what_a_fail_over_lost(pair: _Pair) -> None:
    """The primary is killed in the middle: a window holds its limit, and at most what was lost."""
    limit = 8
    with closing(open_store(pair.url, timeout_seconds=_PATIENT)) as store:

        def kill_once_busy() -> None:
            wait_for(lambda: len(store.windows.states()) == 2, "both keys are in use")
            wait_for(lambda: rate_limit(store, "a").calls > limit, "a window is over")
            pair.kill_primary()

        with ThreadPoolExecutor(1) as beside:
            killed = beside.submit(kill_once_busy)
            outcomes = run_fleet(
                pair.url,
                processes=4,
                keys=["a", "b"],
                max_calls=limit,
                window_seconds=2,
                seconds=12,
            )
            killed.result()
        for key, outcome in outcomes.items():
            counted = rate_limit(store, key)
            called = sum(map(len, outcome.waits))
            lost = called - counted.calls - counted.fail_open
            # What was let through, and reported before its process ended, is counted too.
            assert outcome.most_in_a_window <= limit + max(lost, 0)
            assert counted.calls > limit
