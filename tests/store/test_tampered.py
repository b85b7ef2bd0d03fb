"""What somebody else wrote into a store costs itself: all else goes on."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from flowgauge.metrics import DAG_LOGS
from flowgauge.store import Count, NewEntry, Store, open_store
from flowgauge.store.outbox import Lease
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


@pytest.mark.parametrize("entry", ["free", "waits", "aside", "held"])
def test_of_an_entry_in_redis(own_redis: str, entry: str) -> None:
    """Whatever a field of it holds, and whatever lies in its place."""
    with (
        closing(open_store(own_redis, timeout_seconds=20)) as store,
        closing(redis.Redis.from_url(own_redis)) as client,
    ):
        hash_ = _ENTRY + entry

        def lies_there(put: Callable[[], object]) -> None:
            client.flushall()
            _fill(store)
            put()
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
            store.windows.acquire(name, "me", 5, 100, 0)
        counts = '{flowgauge}:counts:dag_id,task_id:["tampered", "load"]'
        [field, *_] = client.hkeys(counts)
        for value in _VALUES:
            client.hset(counts, field, value)
            for number in ("max_calls", "window_us", "set_calls"):
                client.hset("{flowgauge}:window:tampered", number, value)
                assert "whole" in {each.key for each in store.windows.states()}
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
