"""`flowgauge dashboards`: putting the dashboards into a Grafana."""

import sys
from pathlib import Path

import click

from flowgauge.assets import asset
from flowgauge.errors import UsageError
from flowgauge.foreign import read_text
from flowgauge.grafana import GrafanaClient, Outcome, import_dashboard, read_dashboards

__all__ = ["dashboards"]

_FOLDER = "flowgauge"


@click.group()
def dashboards() -> None:
    """Put the dashboards into a Grafana."""


@dashboards.command("import")
@click.option(
    "--grafana-url",
    metavar="URL",
    envvar="GRAFANA_URL",
    show_envvar=True,
    required=True,
    help="Grafana's address, with its path if it has one.",
)
@click.option(
    "--token",
    envvar="GRAFANA_TOKEN",
    show_envvar=True,
    help="Token of a service account with the role Editor; others on the machine can see a flag.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file that holds the token.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder with dashboards, such as `flowgauge render` writes.  [default: those packaged]",
)
@click.option("--overwrite", is_flag=True, help="Also replace dashboards edited by hand.")
def import_command(
    *, grafana_url: str, token: str | None, token_file: Path | None, source: Path | None,
    overwrite: bool,
) -> None:  # fmt: skip
    """Create or update the dashboards in Grafana's folder flowgauge.

    Importing again changes nothing. A dashboard that somebody edited in Grafana is left alone,
    and the exit code is 1, unless --overwrite is given.
    """
    wanted = read_dashboards(source or asset("dashboards"))
    with GrafanaClient(grafana_url, _token(token, token_file)) as grafana:
        grafana.ensure_folder(_FOLDER, _FOLDER)
        outcomes = []
        for dashboard in wanted:
            outcome = import_dashboard(grafana, dashboard, folder=_FOLDER, overwrite=overwrite)
            click.echo(f"{dashboard['uid']}: {outcome}")
            outcomes.append(outcome)
    if Outcome.EDITED in outcomes:
        click.echo("Replace what was edited by hand with --overwrite.", err=True)
    if {Outcome.EDITED, Outcome.PROVISIONED}.intersection(outcomes):
        sys.exit(1)


def _token(token: str | None, file: Path | None) -> str:
    try:
        found = read_text(file).strip() if file else token
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{file} {error}") from None
    if not found:
        raise UsageError("give Grafana's token: --token-file FILE, or GRAFANA_TOKEN")
    return found
