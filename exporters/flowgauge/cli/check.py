"""`flowgauge check`."""

import json
from dataclasses import asdict
from difflib import get_close_matches

import click

from flowgauge.cli.options import mlflow_uri_option, output_option, store_option
from flowgauge.diagnosis import SKIPPABLE, Name, Status, Step, walk
from flowgauge.redact import quote
from flowgauge.tracking.uri import TrackingUri

__all__ = ["check"]

_COLOURS = {Status.OK: "green", Status.FAILED: "red", Status.SKIPPED: "yellow"}
_SKIPPABLE = {name.lower().replace(" ", "-"): name for name in SKIPPABLE}


def _steps_to_skip(
    _ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> set[Name]:
    return {_step(each) for each in given}


def _step(given: str) -> Name:
    name = given.strip().lower().replace(" ", "-")
    if name in _SKIPPABLE:
        return _SKIPPABLE[name]
    near = get_close_matches(name, _SKIPPABLE, n=1)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(_SKIPPABLE)}."
    raise click.BadParameter(f"{quote(given)!r} is no step to leave out: {advice}")


@click.command()
@mlflow_uri_option
@store_option
@click.option(
    "--exporter-url",
    metavar="URL",
    envvar="FLOWGAUGE_EXPORTER_URL",
    show_envvar=True,
    help="Where the exporter listens; if it is not given, one on this machine is looked for.",
)
@click.option(
    "--prometheus-url",
    metavar="URL",
    envvar="FLOWGAUGE_PROMETHEUS_URL",
    show_envvar=True,
    help="Where Prometheus listens; if it is not given, Prometheus is not asked.",
)
@click.option(
    "--skip",
    metavar="STEP",
    multiple=True,
    callback=_steps_to_skip,
    help=f"Leave a step out; may be repeated: {', '.join(_SKIPPABLE)}.",
)
@output_option
@click.pass_context
def check(
    ctx: click.Context,
    *,
    mlflow_uri: str | None,
    store: str | None,
    exporter_url: str | None,
    prometheus_url: str | None,
    skip: set[Name],
    output: str,
) -> None:
    """Walk the path from the tracking URI to Prometheus; say what is broken and its cure.

    Run it where the tasks run. Exits with 0 if no step is broken, 1 if one is, 2 if the
    configuration is wrong. The JSON is an object: `ok`, and `steps` with `name`, `status` (ok,
    failed, skipped) and `message`.
    """
    given = TrackingUri(mlflow_uri, "--mlflow-uri") if mlflow_uri else None
    steps = []
    for step in walk(given, store, exporter_url, prometheus_url, skip):
        steps.append(step)
        if output == "text":
            click.echo(_line(step))
    broken = next((step for step in steps if step.status is Status.FAILED), None)
    if output == "json":
        click.echo(json.dumps({"ok": broken is None, "steps": [_object(step) for step in steps]}))
    else:
        click.echo(f"\n{_conclusion(steps, broken)}")
    ctx.exit(broken.exit_code if broken else 0)


def _conclusion(steps: list[Step], broken: Step | None) -> str:
    if broken:
        return f"Broken is {broken.name}: {broken.message}"
    unseen = [step.name for step in steps if step.status is Status.SKIPPED]
    return f"Not looked at: {', '.join(unseen)}.\nAll is well." if unseen else "All is well."


def _line(step: Step) -> str:
    status = click.style(f"{step.status:<8}", fg=_COLOURS[step.status])
    return f"{status}{step.name:<14}{step.message}"


def _object(step: Step) -> dict[str, str]:
    return {name: value for name, value in asdict(step).items() if name != "exit_code"}
