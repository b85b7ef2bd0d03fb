"""A PostgreSQL that an earlier flowgauge prepared: used, brought up to date, and shared with it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

from flowgauge.metrics import DAG_LOGS, DAG_NULL_RATIO
from flowgauge.store import Count, Store, open_store
from flowgauge.store.counts import changes_json
from stack.postgres import Postgres
from tests.counting import pairs, rate_limit

_REVISION_1 = Path(__file__).with_name("postgres_revision_1.sql").read_text()
_PAIR = changes_json([Count(DAG_LOGS, ("etl", "load"), 1.5)])
_ACQUIRE = "SELECT flowgauge.acquire('api', %s, 3, 600000000, 5000000, 60000000, %s, '[]')"


def _execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for each in statements:
            connection.execute(each)


@pytest.fixture
def url(own_postgres: Postgres) -> str:
    """A database in which revision 1 granted two of three calls, has one wait, and counted."""
    _execute(own_postgres.url, "DROP SCHEMA IF EXISTS flowgauge CASCADE", _REVISION_1)
    for ticket in ("a", "b"):
        _of_revision_1(own_postgres.url, ticket)
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute(
            "SELECT flowgauge.acquire('full', t, 1, 600000000, 5000000, 60000000, '[]', '[]')"
            " FROM unnest(ARRAY['holder', 'first in line']) AS t"
        )
    return own_postgres.url


def _of_revision_1(url: str, ticket: str) -> int:
    """Ask for a call, as the flowgauge does that made it, and count."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(_ACQUIRE, [ticket, _PAIR]).fetchone()
    assert row
    return int(row[0])


def _logs(store: Store) -> float:
    return sum(each.logs for each in pairs(store))


def _revision(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT to_regprocedure('flowgauge.schema_revision()')").fetchone()
    return str(row and row[0])


def test_what_was_there_goes_on_where_it_stood(url: str) -> None:
    """Counts, grants, places in the queue; whoever still runs the old version shares all of it."""
    with closing(open_store(url, timeout_seconds=30)) as store:
        store.counts.add(Count(DAG_LOGS, ("etl", "load")), Count(DAG_NULL_RATIO, ("etl", "load")))
        assert _revision(url) != "None"
        assert _logs(store) == 4
        assert (rate_limit(store, "api").window_calls, rate_limit(store, "full").waiting) == (2, 1)
        assert not store.windows.acquire("full", "late", 1, 600, 0).granted
        store.windows.set_limit("api", 4, 600)
        assert [_of_revision_1(url, ticket) for ticket in ("c", "f")] == [0, 0]
        assert not store.windows.acquire("api", "d", 3, 600, 0).granted
        assert _of_revision_1(url, "e") > 0
        assert _logs(store) == 7
        store.windows.reset("full")
        assert not store.windows.acquire("full", "late", 1, 600, 1).granted
        assert store.windows.acquire("full", "first in line", 1, 600, 1).granted


def test_who_may_not_bring_it_up_to_date_uses_it_as_it_is(url: str) -> None:
    """Tasks that come before `flowgauge store init` is run again go on."""
    _execute(
        url,
        "DROP ROLE IF EXISTS visitor",
        "CREATE ROLE visitor LOGIN",
        "GRANT USAGE ON SCHEMA flowgauge TO visitor",
    )
    with closing(open_store(url.replace("mlflow@", "visitor@"), timeout_seconds=30)) as store:
        assert store.windows.acquire("api", "c", 3, 600, 0).granted
        store.counts.add(Count(DAG_LOGS, ("etl", "load")))
        assert _logs(store) == 4
        assert _revision(url) == "None"
        with closing(open_store(url, timeout_seconds=30)) as owner:
            owner.init()
        store.counts.add(Count(DAG_LOGS, ("etl", "load")))
        assert _logs(store) == 5
        assert not store.windows.acquire("api", "d", 3, 600, 0).granted
    _execute(url, "DROP OWNED BY visitor", "DROP ROLE visitor")


def test_many_who_come_first_bring_it_up_to_date_together(url: str) -> None:
    """Eight at once, beside some of the old version: nothing is lost, and no window overflows."""

    def old(number: int) -> int:
        granted = 0
        for turn in range(10):
            # A step that is in the midst of it fails, as where the store is away.
            with suppress(psycopg.errors.UndefinedTable):
                granted += _of_revision_1(url, f"old {number} {turn}") == 0
        return granted

    def new(number: int) -> int:
        with closing(open_store(url, timeout_seconds=30)) as store:
            granted = store.windows.acquire("api", f"new {number}", 3, 600, 0).granted
            store.counts.add(Count(DAG_LOGS, ("etl", "load")))
        return granted

    with ThreadPoolExecutor(12) as pool:
        olds, news = (
            [pool.submit(old, n) for n in range(4)],
            [pool.submit(new, n) for n in range(8)],
        )
        by_old, by_new = (sum(each.result() for each in some) for some in (olds, news))
    assert by_old + by_new == 1
    with closing(open_store(url, timeout_seconds=30)) as store:
        assert _logs(store) == 3 + 1.5 * by_old + 8
