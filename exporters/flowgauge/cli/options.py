"""Options that several subcommands share."""

import logging
import math
from pathlib import Path
from typing import Any

import click

from flowgauge.cli.log_format import FORMATTERS
from flowgauge.tracking.uri import TrackingUri, require_tracking_uri

__all__ = [
    "Finite",
    "log_format_option",
    "log_level_option",
    "mlflow_uri_option",
    "output_option",
    "set_up_logging",
    "store_option",
    "telemetry_path_option",
    "tracking_uri",
    "web_config_option",
]


class Finite(click.FloatRange):
    """A number in a range: NaN, which no comparison finds out of it, is none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """See `click.ParamType.convert`."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number that ends.", param, ctx)
        return number


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
telemetry_path_option = click.option(
    "--web.telemetry-path",
    "metrics_path",
    default="/metrics",
    envvar="FLOWGAUGE_WEB_TELEMETRY_PATH",
    show_envvar=True,
    help="Path of the metrics.",
)
web_config_option = click.option(
    "--web.config.file",
    "web_config",
    type=click.Path(path_type=Path),
    envvar="FLOWGAUGE_WEB_CONFIG_FILE",
    show_envvar=True,
    help="TLS and basic auth, in the format of Prometheus' exporter-toolkit.",
)
log_level_option = click.option(
    "--log.level",
    "log_level",
    type=click.Choice(["debug", "info", "warn", "error"]),
    default="info",
    envvar="FLOWGAUGE_LOG_LEVEL",
    show_envvar=True,
    help="Log messages of this level and above.",
)


log_format_option = click.option(
    "--log.format",
    "log_format",
    type=click.Choice([*FORMATTERS]),
    default="text",
    envvar="FLOWGAUGE_LOG_FORMAT",
    show_envvar=True,
    help="For people, or for what collects lines.",
)


def set_up_logging(level: str, form: str) -> None:
    """Log to stderr what is of *level* and above, in the *form* that `log_format_option` gives."""
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS[form])
    logging.basicConfig(level=level.upper().replace("WARN", "WARNING"), handlers=[handler])
    # A line for every request, in and out, says nothing that a metric does not say better.
    for chatty in ("httpx", "httpcore", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def tracking_uri(flag: str | None) -> TrackingUri:
    """Return the URI that *flag* gives, else the one of `require_tracking_uri`."""
    return TrackingUri(flag, "--mlflow-uri") if flag else require_tracking_uri()
