"""`flowgauge environment schema`."""

import json

import click

from flowgauge.assets import asset
from flowgauge.environment.schema import json_schema
from flowgauge.rules.files import alert_names, read_rules

__all__ = ["environment"]


@click.group()
def environment() -> None:
    """Know environment files."""


@environment.command()
def schema() -> None:
    """Print the JSON Schema of environment files, for editors."""
    alerts = alert_names(read_rules([str(asset("alerts") / "*.yaml")]))
    click.echo(json.dumps(json_schema(alerts), indent=2, ensure_ascii=False))
