"""Options that several subcommands share."""

import click

from flowgauge.tracking.uri import TrackingUri, require_tracking_uri

__all__ = ["mlflow_uri_option", "output_option", "store_option", "tracking_uri"]

mlflow_uri_option = click.option(
    "--mlflow-uri",
    metavar="URI",
    help="MLflow's address; else MLFLOW_TRACKING_URI, else environments/$ENV.yaml.",
)
store_option = click.option(
    "--store",
    metavar="URL",
    envvar="FLOWGAUGE_STORE",
    show_envvar=True,
    help="The store that the tasks write to: sqlite:///FILE, redis://… or postgresql://….",
)
output_option = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="For people or scripts."
)


def tracking_uri(flag: str | None) -> TrackingUri:
    """Return the URI that *flag* gives, else the one of `require_tracking_uri`."""
    return TrackingUri(flag, "--mlflow-uri") if flag else require_tracking_uri()
