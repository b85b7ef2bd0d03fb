"""`flowgauge environment schema`."""

import json

import click

from flowgauge.environment.schema import json_schema

__all__ = ["environment"]


@click.group()
def environment() -> None:
    """Know environment files."""


@environment.command()
def schema() -> None:
    """Print the JSON Schema of environment files, for editors."""
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
