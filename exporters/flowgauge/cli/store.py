"""`flowgauge store`: the store itself."""

from contextlib import closing

import click

from flowgauge.cli.options import store_option
from flowgauge.redact import redact_url
from flowgauge.store import open_store, store_url

__all__ = ["store"]

_STORE_SECONDS = 30.0


@click.group()
def store() -> None:
    """Prepare the store."""


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
        click.echo(f"{redact_url(url)} is ready: {opened.about()}")
