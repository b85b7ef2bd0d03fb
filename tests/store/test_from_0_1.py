"""From version 0.1 to this one, with 0.1's own code."""

import subprocess
import sys
from collections import Counter

import pytest

from flowgauge.store import Lease, Store, open_store
from flowgauge.store.log_calls import Logged, arrived, ended
from tests.counting import defer, durations, pairs, rate_limit
from tests.store.version_0_1 import FILL, PAGE, WORK, Version01

_TIMES = 40
pytestmark = pytest.mark.parametrize("store_url", ["sqlite", "redis"], indirect=True)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Version01:
    """Version 0.1."""
    return Version01(tmp_path_factory.mktemp("flowgauge-0.1"))


def _page(store_url: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", PAGE, store_url], check=True, capture_output=True, text=True
    ).stdout


def _series(page: str) -> dict[str, float]:
    rows = [line.rpartition("|") for line in page.splitlines()]
    return {series: float(value) for series, _, value in rows}


def test_every_series_goes_on_where_it_stood(old: Version01, store_url: str) -> None:
    """What 0.1's exporter showed is what ours shows, `other` included: no counter goes back."""
    old.run(FILL, store_url)
    before = _series(old.run(PAGE, store_url))
    assert len(before) > 60
    now = _series(_page(store_url))
    # 0.1's SQLite told parts of a microsecond.
    assert {series: now[series] for series in before} == pytest.approx(before, rel=0, abs=1e-6)
    # What 0.1 did not count begins at zero.
    assert {value for series, value in now.items() if series not in before} <= {0}


def test_a_full_outbox_and_a_full_window_are_carried_over(
    old: Version01, store: Store, store_url: str
) -> None:
    """Entries keep body, order, attempts and place; the window keeps its grants and its queue."""
    old.run(FILL, store_url)
    entries = {entry.entry_id: entry for entry in store.outbox.entries(10)}
    assert list(entries) == ["e0", "e1", "e2", "e4", "e5"]
    assert entries["e4"].body == "body 4 ñ"
    assert (entries["e0"].attempts, entries["e2"].poison) == (1, "MLflow refuses it")
    claimed = store.outbox.claim(Lease("me", 60), 10)
    assert [entry.entry_id for entry in claimed] == ["e1", "e4", "e5", "e0"]
    assert store.outbox.retry() == ["e2"]
    assert not store.windows.acquire("api", "late", 3, 600, 0).granted
    assert rate_limit(store, "api").waiting == 2
    assert store.windows.mirror_gone("api")
    assert not store.windows.acquire("api", "late", 1, 600, 1).granted
    assert store.windows.acquire("api", "first in line", 3, 600, 1).granted


def test_what_0_1_counts_later_is_added(old: Version01, store: Store, store_url: str) -> None:
    """0.1 may go on for as long as the upgrade takes; the last value is the newer one."""
    old.run(FILL, store_url)
    first = pairs(store)
    store.counts.add(*ended(Logged("dag0", "task 0", 0.1, rows=100, null_ratio=0.9)))
    old.run(FILL, store_url)
    store.counts.add(*ended(Logged("dag1", "task 1", 0.1, null_ratio=0.7)))
    now = pairs(store)
    assert [(pair.dag_id, pair.task_id) for pair in now] == [
        (pair.dag_id, pair.task_id) for pair in first
    ]
    assert [pair.rows for pair in now] == [102, 34, 200, 2000, 20000]
    assert [pair.null_ratio for pair in now[:2]] == [0.5, 0.7]
    assert now[0].failures == {"rejected": 2}
    assert durations(store)["dag0"][0][-1] == 2 * 4 + 1
    assert rate_limit(store, "api").fail_open == 18


def test_both_versions_fill_one_window(old: Version01, store: Store, store_url: str) -> None:
    """Grants of one version are never taken for those of the other, in whatever order they come."""
    granted = 0
    for turn in range(3):
        old.run(WORK, store_url, f"old {turn}", "2")
        pairs(store)
        for number in range(2):
            ticket = f"new {turn} {number}"
            granted += store.windows.acquire("api", ticket, 15, 600, 0).granted
    assert granted == 6
    limit = rate_limit(store, "api")
    assert (limit.window_calls, limit.calls, limit.hits) == (12, 12, 0)


def _work(store_url: str, name: str) -> list[str]:
    store = open_store(store_url, timeout_seconds=30)
    sent = []
    for number in range(_TIMES):
        store.counts.add(*ended(Logged("etl", "load", 0.1, rows=1)))
        store.counts.add(*ended(Logged(f"dag{number}", "own", 0.1, reason="rejected")))
        defer(store, Logged("etl", "load", 0.1, reason="unreachable"), f"{name}{number}")
        store.windows.acquire("api", f"{name}{number}", 15, 600, 0)
        for entry in store.outbox.claim(Lease(name, 600), 1):
            store.outbox.settle(entry.entry_id, arrived(Logged("etl", "load", 0)))
            sent.append(entry.entry_id)
        pairs(store)
    store.close()
    return sent


def test_both_versions_at_once_lose_nothing(old: Version01, store: Store, store_url: str) -> None:
    """Two processes of 0.1 and one of ours count, log, send and wait for one limit together."""
    old.run(WORK, store_url, "makes the store", "0")
    processes = [old.start(WORK, store_url, name, str(_TIMES)) for name in ("old-a", "old-b")]
    sent = Counter(_work(store_url, "new"))
    for process in processes:
        printed, _ = process.communicate()
        assert process.returncode == 0
        sent.update(printed.split())
    for entry in store.outbox.claim(Lease("last", 600), 1000):
        store.outbox.settle(entry.entry_id, arrived(Logged("etl", "load", 0)))
        sent.update([entry.entry_id])
    assert len(sent) == 3 * _TIMES
    assert set(sent.values()) == {1}
    counted = {(pair.dag_id, pair.task_id): pair for pair in pairs(store)}
    assert len(counted) == 1 + _TIMES
    etl = counted["etl", "load"]
    assert (etl.rows, etl.logs, etl.deferred) == (3 * _TIMES, 2 * 3 * _TIMES, 3 * _TIMES)
    assert etl.failures == {"unreachable": 3 * _TIMES}
    assert {pair.failures["rejected"] for pair in counted.values() if pair is not etl} == {3}
    assert durations(store)["etl"][0][-1] == 2 * 3 * _TIMES
    limit = rate_limit(store, "api")
    assert (limit.calls, limit.window_calls, limit.hits) == (15, 15, 3 * _TIMES - 15)
