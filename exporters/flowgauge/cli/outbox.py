"""`flowgauge outbox`: what waits to reach MLflow, and what becomes of it."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from textwrap import indent
from typing import NamedTuple

import click

from flowgauge.airflow.connection import connect
from flowgauge.airflow.outbox import flush
from flowgauge.airflow.permit import permit_interval, seen_interval
from flowgauge.airflow.spool import spool_state
from flowgauge.cli.options import Finite
from flowgauge.cli.table import as_duration, as_table
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.redact import redact_url
from flowgauge.store import Store, open_store, store_url
from flowgauge.store.errors import StoreError
from flowgauge.store.outbox import OutboxEntry, OutboxState
from flowgauge.store.sqlite import path_of

__all__ = ["outbox"]

# An operator waits; a task's half second is too short for a store that others keep busy.
_STORE_SECONDS = 5.0
_HEADER = ("ID", "DAG", "TASK", "SINCE", "AGE", "ATTEMPTS", "REASON", "SENT IN", "SET ASIDE")
_WATCH_SECONDS = 2.0
# A relay takes longer for one: a limit that is wider does not say when the last is sent.
_RELAY_SECONDS = 0.05
# A window is seldom quite full.
_NEARLY = 1.1

_store_option = click.option("--store", "store", help="Store URL; default: FLOWGAUGE_STORE.")
_output_option = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="For people or scripts."
)


@dataclass(frozen=True)
class Asked:
    """The store that a command asks, and what to say of it."""

    url: str
    sentence: str

    @classmethod
    def of(cls, flag: str | None) -> "Asked":
        """Return what *flag* names, else the environment."""
        url = flag or store_url()
        source = "--store" if flag else "FLOWGAUGE_STORE"
        if not flag and not os.environ.get(source):
            source = "the default, FLOWGAUGE_STORE is not set"
        sentence = f"store: {redact_url(url)} ({source})"
        if url.startswith("sqlite:") and not path_of(url).exists():
            sentence += "; there is no such file, so nothing was ever logged to it"
        return cls(url, sentence)


@click.group()
def outbox() -> None:
    """See and send the payloads that MLflow has not taken yet."""


@outbox.command("list")
@_store_option
@_output_option
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Entries to show, oldest first.",
)
@click.option(
    "--bodies", is_flag=True, help="With --output json, also what was logged, secrets included."
)
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until Ctrl-C.")
def list_entries(*, store: str | None, output: str, limit: int, bodies: bool, watch: bool) -> None:
    """Show what waits, why and until when, and what MLflow refused for good, with its reason.

    Says which store it asked, on stderr if the list is JSON. Looking makes no store.
    """
    if watch and output == "json":
        raise UsageError("--watch is for people: leave out --output json")
    if bodies and output != "json":
        raise UsageError("--bodies is for scripts: add --output json")
    asked = Asked.of(store)
    with closing(open_store(asked.url, timeout_seconds=_STORE_SECONDS)) as opened:
        if output == "json":
            click.echo(asked.sentence, err=True)
            sys.stdout.writelines(_as_json(opened.outbox.each_entry(limit), bodies=bodies))
        elif watch:
            _watch(lambda: _for_people(opened, asked, limit))
        else:
            click.echo(_for_people(opened, asked, limit))


def _watch(show: Callable[[], str]) -> None:
    with suppress(KeyboardInterrupt):
        while True:
            try:
                page = show()
            except StoreError as error:
                page = str(error)
            click.clear()
            click.echo(page)
            time.sleep(_WATCH_SECONDS)


@outbox.command("flush")
@_store_option
@click.option("--mlflow-uri", help="MLflow tracking URI; default: MLFLOW_TRACKING_URI, ENV.")
@click.option(
    "--max-seconds",
    type=Finite(min=0),
    default=60.0,
    show_default=True,
    help="Stop after this time.",
)
@_output_option
def flush_entries(
    store: str | None, mlflow_uri: str | None, max_seconds: float, output: str
) -> None:
    """Send what waits, oldest first, within the rate limit.

    Exits with 1 if something ended it before everything was sent.
    """
    with closing(open_store(store, timeout_seconds=_STORE_SECONDS)) as opened:
        flushed = flush(opened, connect(mlflow_uri), seconds=max_seconds)
        state = opened.outbox.state()
    counts = {"sent": flushed.sent, "set_aside": flushed.set_aside, "waiting": state.entries}
    if output == "json":
        click.echo(json.dumps(counts))
    else:
        click.echo("sent {sent}, set aside {set_aside}, still waiting {waiting}".format(**counts))
    if flushed.problem:
        raise FlowgaugeError(f"the flush ended early: {flushed.problem}")


@outbox.command("retry")
@click.argument("entry_ids", metavar="ID...", nargs=-1)
@click.option("--all", "all_entries", is_flag=True, help="Everything that was set aside.")
@_store_option
def retry_entries(entry_ids: Sequence[str], all_entries: bool, store: str | None) -> None:
    """Put entries that were set aside back into the queue, after curing the reason.

    The next flush or log call sends them.
    """
    if bool(entry_ids) == all_entries:
        raise UsageError("name the entries to retry, or give --all")
    with closing(open_store(store, timeout_seconds=_STORE_SECONDS)) as opened:
        put_back = opened.outbox.retry(*entry_ids) if _holds_any(opened) else []
    click.echo(f"put back {len(put_back)}")
    _require_all(entry_ids, put_back, "not set aside in this outbox")


@outbox.command("drop")
@click.argument("entry_ids", metavar="ID...", nargs=-1, required=True)
@click.confirmation_option(prompt="MLflow will never get these payloads. Remove them?")
@_store_option
def drop_entries(entry_ids: Sequence[str], store: str | None) -> None:
    """Remove entries for good, waiting or set aside: MLflow will never get these payloads."""
    with closing(open_store(store, timeout_seconds=_STORE_SECONDS)) as opened:
        dropped = opened.outbox.drop(*entry_ids) if _holds_any(opened) else []
    click.echo(f"removed {len(dropped)}")
    _require_all(entry_ids, dropped, "not in this outbox")


def _holds_any(store: Store) -> bool:
    """Return whether there is anything; a write would make a store where there is none."""
    state = store.outbox.state()
    return bool(state.entries or state.poison)


def _require_all(asked: Sequence[str], done: Sequence[str], problem: str) -> None:
    if missing := [entry_id for entry_id in asked if entry_id not in done]:
        raise FlowgaugeError(f"{problem}: {', '.join(missing)}; see `flowgauge outbox list`")


def _as_json(entries: Iterable[OutboxEntry], *, bodies: bool) -> Iterator[str]:
    """Yield one JSON list, entry by entry: all of a large outbox would not fit into memory."""
    before = "["
    for entry in entries:
        shown = entry._asdict()
        if not bodies:
            del shown["body"]
        text = json.dumps(shown, indent=2)
        yield f"{before}\n{indent(text, '  ')}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _for_people(store: Store, asked: Asked, limit: int) -> str:
    state = store.outbox.state()
    now = datetime.now(UTC)
    pace = _pace(store)
    waiting = count(1)
    rows = [
        _row(entry, now, None if entry.poison else next(waiting) * pace.seconds)
        for entry in store.outbox.each_entry(limit)
    ]
    return "\n".join(
        [
            asked.sentence,
            as_table(_HEADER, rows) if rows else "the outbox is empty",
            *_outlook(state, pace),
            *_spooled(),
        ]
    )


def _row(entry: OutboxEntry, now: datetime, seconds: float | None) -> tuple[str, ...]:
    created = datetime.fromtimestamp(entry.created, UTC)
    return (
        entry.entry_id,
        entry.dag_id,
        entry.task_id,
        created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        as_duration((now - created).total_seconds()),
        str(entry.attempts),
        entry.reason or "",
        "" if seconds is None else as_duration(seconds),
        entry.poison or "",
    )


class _Pace(NamedTuple):
    """The seconds between two payloads, what says so, and those of late, where these are more."""

    seconds: float
    why: str
    of_late: float | None = None


def _pace(store: Store) -> _Pace:
    interval, seen = permit_interval(store), seen_interval(store)
    if seen is None or seen < interval * _NEARLY:
        return _Pace(interval, "which is the rate limit")
    if interval < _RELAY_SECONDS:
        return _Pace(seen, "as of late, below the rate limit")
    return _Pace(interval, "which is the rate limit", seen)


def _outlook(state: OutboxState, pace: _Pace) -> Iterator[str]:
    if state.entries:
        yield (
            f"{state.entries} wait; at {60 / pace.seconds:g} a minute, {pace.why}, the last is"
            f" sent in {as_duration(state.entries * pace.seconds)}: if MLflow takes them and a"
            " relay runs"
        )
    if state.entries and pace.of_late:
        yield (
            f"in the last window there were {60 / pace.of_late:.3g} a minute, and at that pace it"
            f" would take {as_duration(state.entries * pace.of_late)}"
        )
    if state.poison:
        yield f"{state.poison} set aside: sent only after `flowgauge outbox retry`"


def _spooled() -> Iterator[str]:
    spool = spool_state()
    if spool.waiting:
        yield f"{spool.waiting} more in {spool.folder}, until the store takes them"
    if spool.bad:
        yield f"{spool.bad} files in {spool.folder} are no payloads: look at the .bad ones"
