"""`flowgauge runs`: keeping MLflow's runs tidy."""

import json
from datetime import timedelta

import click

from flowgauge.cli.options import Finite
from flowgauge.redact import printable
from flowgauge.tracking.cleanup import close_stale_runs
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.uri import require_tracking_uri

__all__ = ["runs"]


# A century: no run is older.
_MOST_HOURS = 100 * 366 * 24


@click.group()
def runs() -> None:
    """Look after MLflow's runs."""


@runs.command("close-stale")
@click.option("--mlflow-uri", help="MLflow tracking URI; default: MLFLOW_TRACKING_URI, ENV.")
@click.option(
    "--older-than-hours",
    type=Finite(min=0, min_open=True, max=_MOST_HOURS),
    default=24.0,
    show_default=True,
    help="How long a run may be RUNNING.",
)
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="For people or scripts."
)
def close_stale(mlflow_uri: str | None, older_than_hours: float, output: str) -> None:
    """Mark runs of DAGs that nobody will finish any more as KILLED."""
    with TrackingClient(mlflow_uri or require_tracking_uri().value) as client:
        closed = close_stale_runs(client, timedelta(hours=older_than_hours))
    if output == "json":
        click.echo(json.dumps({"closed": closed}))
    else:
        click.echo(printable("\n".join([f"runs closed: {len(closed)}", *closed])))
