"""`flowgauge rate-limit`: how full the windows are, and emptying one."""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict

import click

from flowgauge.cli.options import store_option
from flowgauge.cli.table import as_table
from flowgauge.errors import UsageError
from flowgauge.store import Store, WindowState, open_store

__all__ = ["rate_limit"]

# An operator waits; a task's half second is too short for a store that others keep busy.
_STORE_SECONDS = 5.0
_HEADER = ("KEY", "IN WINDOW", "LIMIT", "WAITING", "CALLS", "HITS", "WAITED", "FAIL OPEN")


@click.group("rate-limit")
def rate_limit() -> None:
    """See and reset the rate limits of the store."""


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
        windows = opened.windows() if key is None else [_find(opened, key)]
    if output == "text":
        click.echo(_for_people(windows))
    else:
        states = [asdict(window) for window in windows]
        click.echo(json.dumps(states if key is None else states[0], indent=2))


@rate_limit.command()
@click.argument("key")
@store_option
def reset(key: str, store: str | None) -> None:
    """Empty the window of KEY: as many calls as it allows may be made at once."""
    with closing(open_store(store, timeout_seconds=_STORE_SECONDS)) as opened:
        window = _find(opened, key)
        opened.reset_window(key)
    click.echo(f"reset {key}: {window.window_calls} calls are forgotten")


def _find(store: Store, key: str) -> WindowState:
    windows = {window.key: window for window in store.windows()}
    if key not in windows:
        known = ", ".join(windows) or "none yet"
        raise UsageError(f"no rate limit {key} is in this store, which has: {known}")
    return windows[key]


def _for_people(windows: Sequence[WindowState]) -> str:
    if not windows:
        return "no rate limit is in use"
    return as_table(_HEADER, [_row(window) for window in windows])


def _row(window: WindowState) -> tuple[str, ...]:
    return (
        window.key,
        str(window.window_calls),
        f"{window.max_calls} in {window.window_seconds:g} s",
        str(window.waiting),
        str(window.calls),
        str(window.hits),
        f"{window.wait_seconds:.1f} s",
        str(window.fail_open),
    )
