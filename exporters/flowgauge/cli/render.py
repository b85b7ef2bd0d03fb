"""`flowgauge render`."""

import sys
from pathlib import Path

import click

from flowgauge.environment import environment_file, load_environment
from flowgauge.environment.examples import example_addresses
from flowgauge.environment.model import Receiver, ReceiverName
from flowgauge.errors import UsageError
from flowgauge.render import difference, helm_values, render, replace_folder

__all__ = ["render_command"]

_NOTIFIED: dict[ReceiverName, str] = {"page": "critical alerts", "ticket": "warnings"}


@click.command("render")
@click.option(
    "--env",
    "name",
    metavar="NAME",
    envvar="ENV",
    show_envvar=True,
    required=True,
    help="The environment: the name of a file in ./environments.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The folder to write; replaced as a whole.  [default: build/NAME]",
)
@click.option(
    "--diff", is_flag=True, help="Write nothing, show what would change; exit 1 if it would."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["folder", "helm-values"]),
    default="folder",
    help="helm-values prints the values of the Helm chart instead.",
)
def render_command(*, name: str, out: Path | None, diff: bool, form: str) -> None:
    """Write all that a deployment needs, from one environment file.

    Prometheus' and Alertmanager's configuration, the rules, Grafana's dashboards and provisioning
    and, where the file has the section, Kubernetes manifests. No secret is ever written.
    """
    if form == "helm-values" and (out or diff):
        raise UsageError("--format helm-values prints: leave --out and --diff out")
    file = environment_file(name)
    environment = load_environment(name)
    if left := example_addresses(environment):
        raise UsageError(
            f"{file}: {', '.join(left)} still {'has' if len(left) == 1 else 'have'} an example's "
            "address: write your own, or leave out what you do not need"
        )
    try:
        # What cannot be rendered gives no values either.
        files = render(name, environment)
        values = helm_values(name, environment) if form == "helm-values" else ""
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None
    if form == "helm-values":
        click.echo(values, nl=False)
        return
    folder = out or Path("build", name)
    if not diff:
        replace_folder(folder, files)
        click.echo(f"{folder}: {len(files)} files, from {file}")
        for receiver, alerts in _NOTIFIED.items():
            if not environment.receivers.get(receiver, Receiver()).is_told:
                click.echo(
                    f"{file}: NOBODY IS TOLD of {alerts}: receivers.{receiver} is empty", err=True
                )
    elif changes := difference(folder, files):
        click.echo(changes, nl=False)
        sys.exit(1)
