"""What somebody else wrote into a store costs itself: all else goes on."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import psycopg
import pytest
import redis

from flowgauge.metrics import DAG_LOGS
from flowgauge.store import Count, NewEntry, Store, open_store
from flowgauge.store.errors import StoreError
from flowgauge.store.folding import fold_unseen
from flowgauge.store.outbox import Lease
from flowgauge.store.rate_limits import rate_limits
from stack.postgres import Postgres
from tests.counting import pairs

_LAPSED = [Count(DAG_LOGS, ("etl", "load"))]
_VALUES: list[str | bytes] = [
    *("", b"\xff", "nan", "inf", "1e999", "-9" * 30, "null", "[]", "[1]", '{"a": 1}', "0x10"),
    *("[" * 500, '[[["mlflow_up", ["a"], 1]]]'),
]
_NO_UTF_8 = "CAST(x'ff' AS TEXT)"
_ENTRY = "{flowgauge}:entry:"


def _fill(store: Store) -> None:
    """Put in an entry that is free again, one that waits, one set aside, one held, and `whole`."""
    outbox = store.outbox
    outbox.put(NewEntry("free", "etl", "load", "{}"), lease=Lease("o", 1e-6), lapsed=_LAPSED)
    outbox.put(NewEntry("waits", "etl", "load", "{}"))
    outbox.put(NewEntry("aside", "etl", "load", "{}"))
    outbox.set_aside("aside", "x", "y")
    outbox.put(NewEntry("held", "etl", "load", "{}"), lease=Lease("o", 50), lapsed=_LAPSED)
    outbox.put(NewEntry("whole", "etl", "load", "{}"))


def _is_served(store: Store, tampered: str) -> None:
    """Check that `whole` is found, claimed and settled, and *tampered* can be got rid of."""
    outbox = store.outbox
    assert outbox.is_due()
    assert outbox.state().entries
    for each in outbox.entries(100):
        datetime.fromtimestamp(each.created, UTC)
    assert "whole" in {each.entry_id for each in outbox.entries(100)}
    assert "whole" in {each.entry_id for each in outbox.claim(Lease("me", 10), 10)}
    outbox.release("whole", "me", "x")
    outbox.set_aside(tampered, "x", "y")
    outbox.retry()
    outbox.settle("whole")
    outbox.drop(tampered)
    assert not {"whole", tampered} & {each.entry_id for each in outbox.entries(100)}


def _is_answered(store: Store, key: str) -> None:
    """Check that who calls under the rate limit *key* gets an answer, or a sentence."""
    for ticket in ("new", "a", "new"):
        with suppress(StoreError):
            store.windows.acquire(key, ticket, 2, 100, 0)


@pytest.mark.parametrize("entry", ["free", "waits", "aside", "held"])
def test_of_an_entry_in_redis(own_redis: str, entry: str) -> None:
    """Whatever a field of it holds, and whatever lies in its place."""
    with (
        closing(open_store(own_redis, timeout_seconds=20)) as store,
        closing(redis.Redis.from_url(own_redis)) as client,
    ):
        hash_ = _ENTRY + entry

        def lies_there(put: Callable[[], object]) -> None:
            # What comes first finds it so, and may mend it for what follows.
            for first in (store.outbox.is_due, lambda: store.outbox.claim(Lease("me", 10), 0)):
                client.flushall()
                _fill(store)
                put()
                first()
                _is_served(store, entry)

        client.flushall()
        _fill(store)
        fields = {*client.hkeys(hash_), b"attempts", b"lapsed", b"lease_us", b"place", b"poison"}
        for field in fields:
            for value in _VALUES:
                lies_there(lambda f=field, v=value: client.hset(hash_, f, v))  # type: ignore[misc]
        lies_there(lambda: client.set(hash_, "x"))
        lies_there(lambda: (client.delete(hash_), client.rpush(hash_, "x")))
        lies_there(lambda: (client.delete(hash_), client.zadd(hash_, {"x": 1})))


def test_of_counts_and_limits_in_redis(own_redis: str) -> None:
    """Numbers that are none, and places that are nowhere, take their own row away and no other."""
    with (
        closing(open_store(own_redis, timeout_seconds=20)) as store,
        closing(redis.Redis.from_url(own_redis)) as client,
    ):
        client.flushall()
        for name in ("tampered", "whole"):
            store.counts.add(Count(DAG_LOGS, (name, "load")))
            store.windows.set_limit(name, 5, 100)
            store.windows.acquire(name, "me", 5, 100, 0)
        counts = '{flowgauge}:counts:dag_id,task_id:["tampered", "load"]'
        [field, *_] = client.hkeys(counts)
        for value in _VALUES:
            client.hset(counts, field, value)
            for number in ("max_calls", "window_us", "set_calls", "set_window_us", "places"):
                client.hset("{flowgauge}:window:tampered", number, value)
                assert "whole" in {each.key for each in store.windows.states()}
                _is_answered(store, "tampered")
            assert ("whole", 1) in {(each.dag_id, each.logs) for each in pairs(store)}
        owners = "{flowgauge}:owners:dag_id,task_id"
        for place in (float("inf"), -float("inf"), 1.5):
            client.zadd(owners, {'["tampered", "load"]': place, "no JSON": place})
            assert ("whole", 1) in {(each.dag_id, each.logs) for each in pairs(store)}


@pytest.mark.parametrize("entry", ["free", "waits", "aside", "held"])
def test_of_an_entry_in_sqlite(folder: Path, entry: str) -> None:
    """Whatever a column of it holds."""
    with (
        closing(open_store(f"sqlite:///{folder}/store.db", timeout_seconds=20)) as store,
        closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as db,
    ):
        _fill(store)
        columns = [row[1] for row in db.execute("PRAGMA table_info(outbox)")]
        for column in columns:
            if column in {"entry_id", "place"}:
                continue
            for value in (*_VALUES, None, float("inf"), 1e30, -1e30, _NO_UTF_8):
                db.execute("DELETE FROM outbox")
                _fill(store)
                new = value if value is _NO_UTF_8 else "?"
                try:
                    db.execute(
                        f"UPDATE outbox SET {column} = {new} WHERE entry_id = ?",
                        (entry,) if value is _NO_UTF_8 else (value, entry),
                    )
                except sqlite3.IntegrityError:
                    continue
                _is_served(store, entry)


def test_of_limits_in_sqlite(folder: Path) -> None:
    """What a window holds is its own affair: a call of it is answered or refused in a sentence."""
    with (
        closing(open_store(f"sqlite:///{folder}/store.db", timeout_seconds=20)) as store,
        closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as db,
    ):

        def fill(key: str) -> None:
            store.windows.set_limit(key, 2, 100)
            for ticket in "abc":
                store.windows.acquire(key, ticket, 2, 100, 0)

        fill("whole")
        for table in ("windows", "grants", "tickets"):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            for column in set(columns) - {"key", "place"}:
                for value in (*_VALUES, None, float("inf"), 1e30, -1e30, 1.5, -5, 0, _NO_UTF_8):
                    for each in ("windows", "grants", "tickets"):
                        db.execute(f"DELETE FROM {each} WHERE key = 'tampered'")
                    fill("tampered")
                    new = value if value is _NO_UTF_8 else "?"
                    with suppress(sqlite3.IntegrityError):
                        db.execute(
                            f"UPDATE {table} SET {column} = {new} WHERE key = 'tampered'",
                            () if value is _NO_UTF_8 else (value,),
                        )
                    _is_answered(store, "tampered")
                    assert "whole" in {each.key for each in store.windows.states()}
                    assert not store.windows.acquire("whole", "c", 2, 100, 1).granted
        db.execute("UPDATE windows SET key = x'ff' WHERE key = 'tampered'")
        assert [each.key for each in store.windows.states()] == ["whole"]


def test_of_counts_in_sqlite(folder: Path) -> None:
    """A place or a time that no store of ours gives takes no other owner away, and has an end."""
    kind = ("dag_id", "task_id")
    with (
        closing(open_store(f"sqlite:///{folder}/store.db", timeout_seconds=20)) as store,
        closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as db,
    ):
        for name in ("tampered", "whole"):
            store.counts.add(Count(DAG_LOGS, (name, "load")))
        for column in ("place", "seen_us"):
            for value in (*_VALUES, float("inf"), -float("inf"), 1e308, -1e308, 1.5):
                db.execute(
                    f"UPDATE owners SET {column} = ? WHERE labels LIKE '%tampered%'", (value,)
                )
                assert ("whole", 1) in {(each.dag_id, each.logs) for each in pairs(store)}
                found = store.counts.totals(*kind)
                fold_unseen(store.counts, ",".join(kind), found, other="other", since=0)


_FIELDS = ('"mlflow_dag_logs_total"', '"[\\"mlflow_dag_logs_total\\"]"')
_JSON_VALUES = (
    "null",
    "[]",
    "{}",
    '"no number"',
    '"1e999"',
    '"1e308"',
    '"NaN"',
    '"-Infinity"',
    '""',
)
_BIG = "9223372036854775807"
_INCOMPRESSIBLE = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 999) AS n)"
_SQL_VALUES = {
    "bigint": (_BIG, f"-{_BIG} - 1", "0", "-1", "NULL"),
    "boolean": ("true", "false", "NULL"),
    "text": (
        "''",
        "'no JSON'",
        "'5'",
        "'[[1]]'",
        "repeat('[', 500)",
        "repeat('x', 1000000)",
        "NULL",
    ),
    "jsonb": (
        *("'5'", "'{}'", "'[5]'", "'[[]]'", "'[[null, null, null]]'", '\'[["a", "b", 5]]\''),
        *('\'[["a", "b", [[null, null, null]]]]\'', '\'[["a", "b", [["c", "add", "1e999"]]]]\''),
        *("jsonb_build_array(jsonb_build_array('a', repeat('x', 99999), '[]'::jsonb))", "NULL"),
        f"jsonb_build_array(jsonb_build_array('a', {_INCOMPRESSIBLE}, '[]'::jsonb))",
    ),
    "bigint[]": (
        *("'{}'", "'{NULL}'", "'{{1,2},{3,4}}'", f"'{{{_BIG}}}'", "'[-5:-4]={1,2}'", "NULL"),
        "array_fill(1::bigint, '{100000}')",
    ),
}


def _tamper(
    db: psycopg.Connection[tuple[object, ...]], table: str, where: str, *but: str
) -> Iterator[str]:
    """Put each value that its type allows into each column of the rows *where*, one at a time."""
    columns = db.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0",
        [f"flowgauge.{table}"],
    ).fetchall()
    for column, kind in columns:
        for value in () if column in but else _SQL_VALUES[str(kind)]:
            change = f"UPDATE flowgauge.{table} SET {column} = {value} WHERE {where}"
            # What the table itself refuses nobody can write.
            with suppress(psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded):
                db.execute(change.encode())
                yield change


@pytest.fixture
def tampered(own_postgres: Postgres) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """An empty store's tables, open to who may write to all of them."""
    with psycopg.connect(own_postgres.url, autocommit=True) as db:
        db.execute("DROP SCHEMA IF EXISTS flowgauge CASCADE")
        with closing(open_store(own_postgres.url)) as store:
            store.init()
        yield db


@pytest.mark.parametrize("entry", ["free", "waits", "aside", "held"])
def test_of_an_entry_in_postgresql(
    tampered: psycopg.Connection[tuple[object, ...]], own_postgres: Postgres, entry: str
) -> None:
    """Whatever a column of it holds."""
    with closing(open_store(own_postgres.url, timeout_seconds=20)) as store:
        _fill(store)
        for _ in _tamper(tampered, "outbox", f"entry_id = '{entry}'", "entry_id"):
            _is_served(store, entry)
            tampered.execute("TRUNCATE flowgauge.outbox")
            _fill(store)


def test_of_how_full_the_outbox_is_in_postgresql(
    tampered: psycopg.Connection[tuple[object, ...]], own_postgres: Postgres
) -> None:
    """What is noted of it takes no payload away, nor the figures of a large one."""
    with closing(open_store(own_postgres.url, timeout_seconds=20)) as store:
        for number in range(120):
            store.outbox.put(NewEntry(str(number), "etl", "load", "{}"))
        for nth, _ in enumerate(_tamper(tampered, "outbox_sizes", "true", "share")):
            store.outbox.put(NewEntry(f"new {nth}", "etl", "load", "{}"))
            assert store.outbox.state().entries >= 100
            store.outbox.settle(f"new {nth}")


def test_of_counts_in_postgresql(
    tampered: psycopg.Connection[tuple[object, ...]], own_postgres: Postgres
) -> None:
    """What one owner counted takes no other's away, and it counts on; new ones come."""
    with closing(open_store(own_postgres.url, timeout_seconds=20)) as store:
        store.counts.add(Count(DAG_LOGS, ("tampered", "load")))
        own = 'labels = \'["tampered", "load"]\''
        store.counts.add(Count(DAG_LOGS, ("whole", "load")))
        numbers = [f"'{{{field}: {value}}}'" for value in _JSON_VALUES for field in _FIELDS]
        changes = [
            *(f"UPDATE flowgauge.owners SET counts = {each} WHERE {own}" for each in numbers),
            "INSERT INTO flowgauge.free_places VALUES ('dag_id,task_id', 0)",
            "INSERT INTO flowgauge.free_places VALUES ('dag_id,task_id', -1)",
        ]
        for nth, _ in enumerate(
            chain(
                _tamper(tampered, "owners", own, "id", "kind", "labels"),
                (tampered.execute(each.encode()) for each in changes),
            )
        ):
            totals = list(store.counts.totals("dag_id", "task_id"))
            fold_unseen(store.counts, "dag_id,task_id", totals, other="other", since=1)
            store.counts.add(Count(DAG_LOGS, ("tampered", "load")), Count(DAG_LOGS, (f"{nth}", "")))
            shown = {(each.dag_id, each.logs) for each in pairs(store)}
            assert {("whole", 1), (f"{nth}", 1)} <= shown


def test_of_limits_in_postgresql(
    tampered: psycopg.Connection[tuple[object, ...]], own_postgres: Postgres
) -> None:
    """What a window holds is its own affair: a call of it is answered or refused in a sentence."""
    with closing(open_store(own_postgres.url, timeout_seconds=20)) as store:
        for name in ("tampered", "whole"):
            for ticket in "abc":
                store.windows.acquire(name, ticket, 2, 100, 0)
        own = "key = 'tampered'"
        for _ in chain(
            _tamper(tampered, "windows", own, "key"),
            _tamper(tampered, "tickets", own, "key", "place"),
            _tamper(tampered, "older_grants", own, "key"),
        ):
            _is_answered(store, "tampered")
            assert "whole" in {each.key for each in store.windows.states()}
            assert ("whole", 2) in {(each["key"], each["calls"]) for each in rate_limits(store)}
            assert not store.windows.acquire("whole", "c", 2, 100, 1).granted
            for table in ("windows", "tickets", "older_grants"):
                tampered.execute(f"DELETE FROM flowgauge.{table} WHERE key = 'tampered'".encode())
            store.windows.set_limit("tampered", 2, 100)
            for ticket in "abc":
                store.windows.acquire("tampered", ticket, 2, 100, 0)
