"""Calls go ahead when the store does not answer."""

import logging
import os
import signal
import time
from pathlib import Path
from unittest.mock import Mock
from uuid import uuid4

import pytest
import redis

from flowgauge.airflow.fail_open import FailOpen
from flowgauge.airflow.rate_limiter import RateLimit
from flowgauge.store import StoreUnavailableError, open_store
from tests.counting import rate_limit


@pytest.fixture
def hung(own_redis: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """A Redis that the limiter uses; stopped by its process id, which this is."""
    monkeypatch.setenv("FLOWGAUGE_STORE", own_redis)
    return int(redis.Redis.from_url(own_redis).info("server")["process_id"])


def test_a_hung_store_lets_calls_through_and_counts_them_later(
    hung: int, own_redis: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A full window does not hold back calls while Redis hangs; afterwards all are counted."""
    key = uuid4().hex
    limit = RateLimit(key, 1, 60, max_wait_seconds=0)
    limit.wait()
    os.kill(hung, signal.SIGSTOP)
    try:
        started = time.monotonic()
        for _ in range(3):
            limit.wait()
        # Half a second each is promised; a busy machine may schedule the process late.
        assert time.monotonic() - started < 5
    finally:
        os.kill(hung, signal.SIGCONT)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert f"The rate limit {key} lets calls through uncounted: the store redis" in warnings[0]
    # On a busy machine Redis may need a moment to be itself again.
    deadline = time.monotonic() + 30
    store = open_store(own_redis, timeout_seconds=10)
    while not rate_limit(store, key).fail_open and time.monotonic() < deadline:
        RateLimit(key, 100, 60).wait()
    assert rate_limit(store, key).fail_open >= 3


def test_a_store_that_dies_while_calls_wait_lets_them_through(hung: int, own_redis: str) -> None:
    """A call that waits for its turn does not wait for a dead store."""
    key = uuid4().hex
    limit = RateLimit(key, 1, 600)
    limit.wait()

    def kill(seconds: float) -> None:
        os.kill(hung, signal.SIGKILL)

    started = time.monotonic()
    limit.wait(kill)
    assert time.monotonic() - started < 10


def test_a_store_that_cannot_be_lets_calls_through(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that is configured wrongly is warned about, without its password."""
    monkeypatch.setenv("FLOWGAUGE_STORE", "mysql://u:secret@h/db")
    RateLimit(uuid4().hex, 1, 60).wait()
    assert "mysql://u:***@h/db is no store" in caplog.text
    assert "secret" not in caplog.text


def test_what_an_interrupted_task_has_not_counted_is_counted_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its time may come while the store, which is back, is told of its calls."""
    fail_open = FailOpen("k")
    store = open_store(f"sqlite:///{tmp_path}/store.db", timeout_seconds=30)
    fail_open.let_through(StoreUnavailableError("it does not answer"))
    with monkeypatch.context() as interrupted:
        interrupted.setattr(store.counts, "add", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fail_open.report(store)
    fail_open.report(store)
    store.windows.acquire("k", "ticket", 1, 60, 0)
    assert rate_limit(store, "k").fail_open == 1


def test_warns_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """However many calls are let through, there is one warning a minute."""
    times = iter([0.0, 1.0, 59.9, 60.0, 61.0, 119.9, 120.0])
    fail_open = FailOpen("k", lambda: next(times))
    for _ in range(7):
        fail_open.let_through(StoreUnavailableError("the store is away"))
    assert len(caplog.records) == 3
