"""`flowgauge outbox`: what waits to reach MLflow, and what becomes of it."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from textwrap import indent

import click

from flowgauge.airflow.connection import connect
from flowgauge.airflow.outbox import flush
from flowgauge.cli.table import as_table
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.store.opening import open_store
from flowgauge.store.outbox import OutboxEntry

__all__ = ["outbox"]

# An operator waits; a task's half second is too short for a store that others keep busy.
_STORE_SECONDS = 5.0
_HEADER = ("ID", "DAG", "TASK", "SINCE", "ATTEMPTS", "SET ASIDE")

_store_option = click.option("--store", "store_url", help="Store URL; default: FLOWGAUGE_STORE.")
_output_option = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="For people or scripts."
)


@click.group()
def outbox() -> None:
    """See and send the payloads that MLflow has not taken yet."""


@outbox.command("list")
@_store_option
@_output_option
@click.option("--limit", default=100, show_default=True, help="Entries to show, oldest first.")
def list_entries(store_url: str | None, output: str, limit: int) -> None:
    """Show what waits, and what MLflow refused for good, with its reason."""
    with closing(open_store(store_url, timeout_seconds=_STORE_SECONDS)) as store:
        entries = store.outbox.each_entry(limit)
        if output == "json":
            sys.stdout.writelines(_as_json(entries))
        else:
            click.echo(_for_people(entries))


@outbox.command("flush")
@_store_option
@click.option("--mlflow-uri", help="MLflow tracking URI; default: MLFLOW_TRACKING_URI, ENV.")
@click.option("--max-seconds", default=60.0, show_default=True, help="Stop after this time.")
@_output_option
def flush_entries(
    store_url: str | None, mlflow_uri: str | None, max_seconds: float, output: str
) -> None:
    """Send what waits, oldest first, within the rate limit.

    Exits with 1 if something ended it before everything was sent.
    """
    with closing(open_store(store_url, timeout_seconds=_STORE_SECONDS)) as store:
        flushed = flush(store, connect(mlflow_uri), seconds=max_seconds)
        state = store.outbox.state()
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
def retry_entries(entry_ids: Sequence[str], all_entries: bool, store_url: str | None) -> None:
    """Put entries that were set aside back into the queue, after curing the reason.

    The next flush or log call sends them.
    """
    if bool(entry_ids) == all_entries:
        raise UsageError("name the entries to retry, or give --all")
    with closing(open_store(store_url, timeout_seconds=_STORE_SECONDS)) as store:
        put_back = store.outbox.retry(*entry_ids)
    click.echo(f"put back {len(put_back)}")
    _require_all(entry_ids, put_back, "not set aside in this outbox")


@outbox.command("drop")
@click.argument("entry_ids", metavar="ID...", nargs=-1, required=True)
@click.confirmation_option(prompt="MLflow will never get these payloads. Remove them?")
@_store_option
def drop_entries(entry_ids: Sequence[str], store_url: str | None) -> None:
    """Remove entries for good, waiting or set aside: MLflow will never get these payloads."""
    with closing(open_store(store_url, timeout_seconds=_STORE_SECONDS)) as store:
        dropped = store.outbox.drop(*entry_ids)
    click.echo(f"removed {len(dropped)}")
    _require_all(entry_ids, dropped, "not in this outbox")


def _require_all(asked: Sequence[str], done: Sequence[str], problem: str) -> None:
    if missing := [entry_id for entry_id in asked if entry_id not in done]:
        raise FlowgaugeError(f"{problem}: {', '.join(missing)}; see `flowgauge outbox list`")


def _as_json(entries: Iterable[OutboxEntry]) -> Iterator[str]:
    """Yield one JSON list, entry by entry: all of a large outbox would not fit into memory."""
    before = "["
    for entry in entries:
        text = json.dumps(asdict(entry), indent=2)
        yield f"{before}\n{indent(text, '  ')}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _for_people(entries: Iterable[OutboxEntry]) -> str:
    rows = [_row(entry) for entry in entries]
    return as_table(_HEADER, rows) if rows else "the outbox is empty"


def _row(entry: OutboxEntry) -> tuple[str, ...]:
    since = datetime.fromtimestamp(entry.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    attempts = str(entry.attempts)
    return entry.entry_id, entry.dag_id, entry.task_id, since, attempts, entry.poison or ""
