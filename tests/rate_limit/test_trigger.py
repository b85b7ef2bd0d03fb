"""Waiting in the triggerer."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from flowgauge.airflow.trigger import DEFERRED_GRACE_SECONDS, RateLimitTrigger
from flowgauge.store import Store, open_store

# In memory: 500 places are taken long before the first one lapses.
in_memory = pytest.mark.parametrize("store_url", ["redis"], indirect=True)
_KEY, _HOUR = "api", 3600.0
_TICKETS = [f"ticket {number}" for number in range(500)]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A store whose only call is taken, and for which 500 tasks stand in line, in their order."""
    with closing(open_store(store_url)) as store:
        for ticket in ("taken", *_TICKETS):
            store.windows.acquire(_KEY, ticket, 1, _HOUR, 0, grace_seconds=DEFERRED_GRACE_SECONDS)
        yield store


def _trigger(ticket: str) -> RateLimitTrigger:
    return RateLimitTrigger(_KEY, 1, _HOUR, ticket, 0)


def _again(trigger: RateLimitTrigger) -> RateLimitTrigger:
    """Return what a triggerer makes of what Airflow's database keeps of a trigger.

    But for the limit, which is raised, so that none has to wait any longer: not to what just fits,
    as on a busy machine an answer may come too late, and its call is taken twice.
    """
    path, options = trigger.serialize()
    assert path == "flowgauge.airflow.trigger.RateLimitTrigger"
    raised = {**json.loads(json.dumps(options)), "max_calls": 1000}
    return RateLimitTrigger(**raised)


async def _granted(trigger: RateLimitTrigger) -> Any:
    return [event.payload async for event in trigger.run()]


async def _wait_and_be_restarted(triggers: Sequence[RateLimitTrigger]) -> None:
    """Run triggers in this process' one loop until each has asked, then end the triggerer."""
    asked = asyncio.Event()
    left = set(range(len(triggers)))

    def note(number: int, attempt: Any) -> Any:
        def noting() -> Any:
            grant = attempt()
            left.discard(number)
            if not left:
                loop.call_soon_threadsafe(asked.set)
            return grant

        return noting

    loop = asyncio.get_running_loop()
    for number, trigger in enumerate(triggers):
        trigger._attempt = note(number, trigger._attempt)  # type: ignore[method-assign]
    waiting = [asyncio.ensure_future(_granted(trigger)) for trigger in triggers]
    await asked.wait()
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@in_memory
def test_500_wait_in_one_process_and_keep_their_places(store: Store) -> None:
    """After a restart each has the place it had, and all go on when there are calls for them."""
    triggers = [_trigger(ticket) for ticket in _TICKETS]
    asyncio.run(_wait_and_be_restarted(triggers))
    (state,) = store.windows.states()
    assert (state.window_calls, state.waiting) == (1, 500)
    waits = [
        store.windows.acquire(
            _KEY, ticket, 1, _HOUR, 1, grace_seconds=DEFERRED_GRACE_SECONDS
        ).wait_seconds
        for ticket in (_TICKETS[0], _TICKETS[250], _TICKETS[-1])
    ]
    assert waits == sorted(waits)

    async def all_granted() -> list[Any]:
        return await asyncio.gather(*map(_granted, map(_again, triggers)))

    assert [len(events) for events in asyncio.run(all_granted())] == [1] * 500
    (state,) = store.windows.states()
    assert (state.window_calls, state.waiting) == (501, 0)


@in_memory
def test_a_task_that_is_no_longer_to_run_leaves_the_queue(store: Store) -> None:
    """Nobody waits behind a trigger that Airflow was told to end."""
    asyncio.run(_trigger(_TICKETS[0]).on_kill())
    (state,) = store.windows.states()
    assert state.waiting == 499


def test_a_store_that_is_away_lets_the_task_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `rate_limit` does: it protects MLflow, and must not stop the work."""
    monkeypatch.setenv("FLOWGAUGE_STORE", "redis://127.0.0.1:9/0")
    assert len(asyncio.run(_granted(_trigger("mine")))) == 1
