"""Options that several subcommands share."""

import click

from flowgauge.errors import UsageError
from flowgauge.tracking.uri import TrackingUri, resolve_tracking_uri

__all__ = ["mlflow_uri_option", "require_tracking_uri", "store_option"]

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
    help="The store that the tasks write to: sqlite:///FILE or redis://HOST:PORT/DB.",
)


def require_tracking_uri(flag: str | None) -> TrackingUri:
    """Return the URI that *flag* gives, else the one that `resolve_tracking_uri` finds.

    Raises `UsageError` if neither does.
    """
    uri = TrackingUri(flag, "--mlflow-uri") if flag else resolve_tracking_uri()
    if uri is None:
        raise UsageError(
            "no MLflow is configured: give --mlflow-uri, or set MLFLOW_TRACKING_URI, "
            "or set ENV to the name of a file in ./environments"
        )
    return uri
