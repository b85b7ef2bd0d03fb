"""`flowgauge store`: the store itself."""

from contextlib import closing

import click

from flowgauge.cli.options import store_option
from flowgauge.errors import UsageError
from flowgauge.redact import quote, redact_url
from flowgauge.store import open_store, store_url
from flowgauge.store.engines import ENGINES
from flowgauge.store.sqlite import path_of
from flowgauge.store.sqlite.recovery import recover

__all__ = ["store"]

_STORE_SECONDS = 30.0

# What `recover` copies, in the words of an operator, by the table it is in.
_NAMES = {"outbox": "payloads in the outbox", "counts": "counts", "windows": "rate limits"}


@click.group()
def store() -> None:
    """Prepare and repair the store."""


@store.command()
@store_option
@click.option(
    "--grant",
    "roles",
    metavar="ROLE",
    multiple=True,
    help="Let this PostgreSQL role use it.",
)
def init(store: str | None, roles: tuple[str, ...]) -> None:
    """Make what the store needs, where tasks and exporter themselves may not.

    Whoever writes first makes it otherwise. In PostgreSQL it is the schema flowgauge; run it again
    with every new version.
    """
    url = store or store_url()
    with closing(open_store(url, timeout_seconds=_STORE_SECONDS)) as opened:
        opened.init(*roles)
        click.echo(f"{redact_url(url)} is ready: {quote(opened.about())}")


@store.command("recover")
@store_option
def recover_file(store: str | None) -> None:
    """Replace a damaged SQLite file by a new one with what is readable of it.

    The damaged file is kept. Does nothing to a sound one.
    """
    url = store or store_url()
    if ENGINES.get(url.partition("://")[0]) is not ENGINES["sqlite"]:
        raise UsageError(
            f"{redact_url(url)} is no SQLite file: recover a server's data from its own backup"
        )
    path = path_of(url)
    recovered = recover(path)
    if recovered is None:
        click.echo(f"{path} is sound: nothing to recover")
        return
    found = ", ".join(f"{recovered.rows.get(table, 0)} {name}" for table, name in _NAMES.items())
    click.echo(f"recovered {found}; the damaged file is kept as {recovered.kept}")
    if recovered.lost:
        click.echo(f"could not read {recovered.lost} payloads more")
