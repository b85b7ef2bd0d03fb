"""`flowgauge rate-limit`: how full the windows are, and emptying one."""

import json
import math
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import click

from flowgauge.cli.options import store_option
from flowgauge.cli.table import as_table
from flowgauge.errors import UsageError
from flowgauge.store import Store, open_store
from flowgauge.store.rate_limits import rate_limits

__all__ = ["rate_limit"]

# An operator waits; a task's half second is too short for a store that others keep busy.
_STORE_SECONDS = 5.0
_HEADER = ("KEY", "IN WINDOW", "LIMIT", "WAITING", "CALLS", "HITS", "WAITED", "FAIL OPEN")


@click.group("rate-limit")
def rate_limit() -> None:
    """See, set and reset the rate limits of the store."""


@rate_limit.command()
@click.argument("key", required=False)
@store_option
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="For people or scripts."
)
def show(key: str | None, store: str | None, output: str) -> None:
    """Show every rate limit in use, or the one of KEY.

    The JSON is a list of objects, or the one object of KEY.
    """
    with closing(open_store(store, timeout_seconds=_STORE_SECONDS)) as opened:
        limits = rate_limits(opened) if key is None else [_find(opened, key)]
    if output == "text":
        click.echo(_for_people(limits))
    else:
        click.echo(json.dumps(limits if key is None else limits[0], indent=2))


@rate_limit.command()
@click.argument("key")
@store_option
def reset(key: str, store: str | None) -> None:
    """Empty the window of KEY: as many calls as it allows may be made at once."""
    with closing(open_store(store, timeout_seconds=_STORE_SECONDS)) as opened:
        limit = _find(opened, key)
        opened.windows.reset(key)
    click.echo(f"reset {key}: {limit['window_calls']} calls are forgotten")


@rate_limit.command("set")
@click.argument("key")
@store_option
@click.option("--max-calls", type=click.IntRange(min=1), required=True, help="Calls in a window.")
@click.option(
    "--window-seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Length of the window; the one in use if left out.",
)
def set_limit(key: str, store: str | None, max_calls: int, window_seconds: float | None) -> None:
    """Give KEY a size for everybody, whatever code and files say.

    Who waits learns of it within five seconds. Nothing needs to be deployed or restarted.
    """
    if window_seconds is not None and not math.isfinite(window_seconds):
        raise UsageError("--window-seconds must be a length of time, which infinity is not")
    with closing(open_store(store, timeout_seconds=_STORE_SECONDS)) as opened:
        seconds = window_seconds or _seconds_in_use(opened, key)
        opened.windows.set_limit(key, max_calls, seconds)
    click.echo(f"set {key}: {max_calls} calls in {seconds:g} s")


@rate_limit.command()
@click.argument("key")
@store_option
def unset(key: str, store: str | None) -> None:
    """Let code and files say the size of KEY again."""
    with closing(open_store(store, timeout_seconds=_STORE_SECONDS)) as opened:
        if not _find(opened, key)["is_set"]:
            raise UsageError(f"the rate limit {key} is not set in this store")
        opened.windows.unset_limit(key)
    click.echo(f"unset {key}: code and files say its size from the next call on")


def _seconds_in_use(store: Store, key: str) -> float:
    for state in store.windows.states():
        if state.key == key:
            return state.window_seconds
    raise UsageError(f"no rate limit {key} is in use in this store yet: give --window-seconds too")


def _find(store: Store, key: str) -> dict[str, Any]:
    limits = {limit["key"]: limit for limit in rate_limits(store)}
    if key not in limits:
        known = ", ".join(limits) or "none yet"
        raise UsageError(f"no rate limit {key} is in this store, which has: {known}")
    return limits[key]


def _for_people(limits: Sequence[dict[str, Any]]) -> str:
    if not limits:
        return "no rate limit is in use"
    return as_table(_HEADER, [_row(limit) for limit in limits])


def _row(limit: dict[str, Any]) -> tuple[str, ...]:
    size = f"{limit['max_calls']} in {limit['window_seconds']:g} s"
    return (
        limit["key"],
        str(limit["window_calls"]),
        f"{size}, set" if limit["is_set"] else size,
        str(limit["waiting"]),
        f"{limit['calls']:.0f}",
        f"{limit['hits']:.0f}",
        f"{limit['wait_seconds']:.1f} s",
        f"{limit['fail_open']:.0f}",
    )
