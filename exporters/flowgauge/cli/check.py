"""`flowgauge check`."""

import json
from dataclasses import asdict

import click

from flowgauge.cli.options import mlflow_uri_option, output_option, store_option
from flowgauge.diagnosis import Status, Step, walk
from flowgauge.tracking.uri import TrackingUri

__all__ = ["check"]

_COLOURS = {Status.OK: "green", Status.FAILED: "red", Status.SKIPPED: "yellow"}


@click.command()
@mlflow_uri_option
@store_option
@click.option(
    "--exporter-url",
    metavar="URL",
    default="http://127.0.0.1:9877",
    envvar="FLOWGAUGE_EXPORTER_URL",
    show_default=True,
    show_envvar=True,
    help="Where the exporter listens.",
)
@output_option
@click.pass_context
def check(
    ctx: click.Context, *, mlflow_uri: str | None, store: str | None, exporter_url: str, output: str
) -> None:
    """Walk the path from the tracking URI to the exporter; say what is broken and its cure.

    Run it where the tasks run. Exits with 0 if every step is fine, 1 if one is broken, 2 if the
    configuration is wrong. The JSON is an object: `ok`, and `steps` with `name`, `status` (ok,
    failed, skipped) and `message`.
    """
    given = TrackingUri(mlflow_uri, "--mlflow-uri") if mlflow_uri else None
    steps = []
    for step in walk(given, store, exporter_url):
        steps.append(step)
        if output == "text":
            click.echo(_line(step))
    broken = next((step for step in steps if step.status is Status.FAILED), None)
    if output == "json":
        click.echo(json.dumps({"ok": broken is None, "steps": [_object(step) for step in steps]}))
    else:
        click.echo(f"\nBroken is {broken.name}: {broken.message}" if broken else "\nAll is well.")
    ctx.exit(broken.exit_code if broken else 0)


def _line(step: Step) -> str:
    status = click.style(f"{step.status:<8}", fg=_COLOURS[step.status])
    return f"{status}{step.name:<14}{step.message}"


def _object(step: Step) -> dict[str, str]:
    return {name: value for name, value in asdict(step).items() if name != "exit_code"}
