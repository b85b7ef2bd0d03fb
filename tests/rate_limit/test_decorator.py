"""What a decorated function does."""

import asyncio
import inspect
import json
import logging
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from flowgauge.airflow import RateLimitExceeded, rate_limit
from flowgauge.airflow.rate_limiter import RateLimit
from flowgauge.errors import UsageError
from flowgauge.store import RECHECK_SECONDS, Store
from stack.process import wait_for
from tests.counting import RateLimitState
from tests.counting import rate_limit as rate_limit_state


@pytest.fixture
def key() -> str:
    """A key of the test's own: this process remembers what it did for each."""
    return f"api-{uuid4().hex[:8]}"


def _state(store: Store, key: str) -> RateLimitState:
    return rate_limit_state(store, key)


def test_calls_within_the_limit_go_ahead_unchanged(store: Store, key: str) -> None:
    """Arguments, result, name and docstring are the function's own."""

    @rate_limit(max_calls=5, window_seconds=60, variable_key=key)
    def add(a: int, *, b: int) -> int:
        """Add."""
        return a + b

    assert [add(1, b=2), add(3, b=4)] == [3, 7]
    assert (add.__name__, add.__doc__) == ("add", "Add.")
    assert (_state(store, key).calls, _state(store, key).hits) == (2, 0)


def test_a_full_window_makes_the_next_call_wait_and_go_on(
    store: Store, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It says for how long, counts a hit, waits, and is called."""

    @rate_limit(max_calls=2, window_seconds=0.5, variable_key=key)
    def now() -> float:
        return time.monotonic()

    with caplog.at_level(logging.INFO):
        times = [now() for _ in range(3)]
    assert times[2] - times[0] >= 0.45
    assert [record.getMessage() for record in caplog.records] == [
        f"Rate limit exceeded, waiting 1s ({key})"
    ]
    state = _state(store, key)
    assert (state.calls, state.hits) == (3, 1)
    assert 0.3 < state.wait_seconds < 30


def test_a_wait_that_is_too_long_raises_at_once(store: Store, key: str) -> None:
    """The sentence has the key and the wait; nobody waits, and the queue is left."""

    @rate_limit(max_calls=1, window_seconds=60, variable_key=key, max_wait_seconds=30)
    def call() -> None: ...

    call()
    started = time.monotonic()
    with pytest.raises(RateLimitExceeded, match=r"has a slot in \d.* s, .* may wait 30 s"):
        call()
    assert time.monotonic() - started < 10
    state = _state(store, key)
    assert (state.calls, state.hits, state.waiting) == (1, 1, 0)


def test_what_the_function_raises_is_its_own(store: Store, key: str) -> None:
    """An error of the function goes through; its call counts."""

    @rate_limit(max_calls=5, window_seconds=60, variable_key=key)
    def fail() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        fail()
    assert _state(store, key).calls == 1


def test_functions_with_one_key_count_together(store: Store, key: str) -> None:
    """The key is what is limited, not the function."""

    @rate_limit(max_calls=1, window_seconds=60, variable_key=key, max_wait_seconds=0)
    def one() -> None: ...

    @rate_limit(max_calls=1, window_seconds=60, variable_key=key, max_wait_seconds=0)
    def two() -> None: ...

    one()
    with pytest.raises(RateLimitExceeded):
        two()


def test_an_interrupted_wait_leaves_the_queue(store: Store, key: str) -> None:
    """A task killed by its time-out while it waits does not hold up the others."""

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    limit = RateLimit(key, 1, 60)
    limit.wait()
    with pytest.raises(KeyboardInterrupt):
        limit.wait(interrupted)
    assert _state(store, key).waiting == 0


def test_a_long_wait_is_cut_into_short_ones(store: Store, key: str) -> None:
    """A waiting call looks again every few seconds, and so sees a reset."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            store.windows.reset(key)

    limit = RateLimit(key, 1, 60)
    limit.wait()
    limit.wait(sleep)
    assert slept == [RECHECK_SECONDS, RECHECK_SECONDS]
    assert _state(store, key).hits == 1


def test_async_functions_wait_without_blocking_the_loop(store: Store, key: str) -> None:
    """While calls wait their turn, the event loop goes on; results are the function's."""

    @rate_limit(max_calls=2, window_seconds=0.4, variable_key=key)
    async def double(n: int) -> int:
        return 2 * n

    async def both() -> tuple[list[int], int]:
        ticks = 0
        calls = asyncio.gather(*(double(n) for n in range(6)))
        while not calls.done():
            ticks += 1
            await asyncio.sleep(0.01)
        return await calls, ticks

    assert inspect.iscoroutinefunction(double)
    results, ticks = asyncio.run(both())
    assert results == [0, 2, 4, 6, 8, 10]
    assert ticks > 10
    assert _state(store, key).calls == 6


def test_a_cancelled_async_call_leaves_the_queue(store: Store, key: str) -> None:
    """Cancelling the task while it waits gives up its place."""

    @rate_limit(max_calls=1, window_seconds=60, variable_key=key)
    async def call() -> None: ...

    async def cancel() -> None:
        await call()
        waiting = asyncio.ensure_future(call())
        await asyncio.to_thread(wait_for, lambda: _state(store, key).waiting, "the call waits")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(cancel())
    assert _state(store, key).waiting == 0


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({"max_calls": 0}, "max_calls of the rate limit k must be at least 1"),
        ({"window_seconds": 0}, "window_seconds of the rate limit k must be above 0"),
        ({"window_seconds": float("nan")}, "window_seconds of the rate limit k must be above 0"),
        ({"variable_key": ""}, "empty key"),
        ({"variable_key": "a\ud800"}, r"key 'a\\ud800' has characters that are no text"),
        ({"variable_key": "a\0"}, "characters that are no text"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_where_it_is_written(
    numbers: dict[str, Any], sentence: str
) -> None:
    """The decorator, not the first call, says what is wrong."""
    sensible: dict[str, Any] = {"max_calls": 1, "window_seconds": 1, "variable_key": "k"}
    with pytest.raises(UsageError, match=sentence):
        rate_limit(**sensible | numbers)


@pytest.mark.parametrize(
    ("setting", "window_seconds"),
    [("max_calls: 3, window_seconds: 30", 30), ("max_calls: 3", 60)],
)
def test_the_environment_changes_a_limit(
    setting: str, window_seconds: float, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rate_limits` of environments/$ENV.yaml override the numbers in the code, as far as given."""
    key = f"raised-{window_seconds}"
    (folder / "busy.yaml").write_text(
        f"domains: {{mlflow: mlflow.example.com}}\nrate_limits: {{{key}: {{{setting}}}}}\n"
    )
    monkeypatch.setenv("FLOWGAUGE_ENVIRONMENTS", str(folder))
    monkeypatch.setenv("ENV", "busy")

    @rate_limit(max_calls=1, window_seconds=60, variable_key=key, max_wait_seconds=0)
    def call() -> None: ...

    for _ in range(3):
        call()
    with pytest.raises(RateLimitExceeded):
        call()
    assert _state(store, key).window_seconds == window_seconds


def test_the_variable_goes_before_the_environment(
    store: Store, key: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLOWGAUGE_RATE_LIMITS overrides the file for the keys that it names."""
    (folder / "two.yaml").write_text(
        "domains: {mlflow: mlflow.example.com}\n"
        f"rate_limits: {{{key}: {{max_calls: 3}}, {key} b: {{max_calls: 4}}}}\n"
    )
    monkeypatch.setenv("FLOWGAUGE_ENVIRONMENTS", str(folder))
    monkeypatch.setenv("ENV", "two")
    monkeypatch.setenv("FLOWGAUGE_RATE_LIMITS", json.dumps({key: {"max_calls": 7}}))
    for each in (key, f"{key} b"):
        RateLimit(each, 2, 60).wait()
    assert (_state(store, key).max_calls, _state(store, f"{key} b").max_calls) == (7, 4)


def test_a_wrong_environment_leaves_the_numbers_of_the_code(
    store: Store, key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An environment that does not exist costs a warning, not the task."""
    monkeypatch.setenv("ENV", f"missing-{key}")
    RateLimit(key, 2, 60).wait()
    assert _state(store, key).max_calls == 2
    assert "The rate limits in the code apply: the environment" in caplog.text
