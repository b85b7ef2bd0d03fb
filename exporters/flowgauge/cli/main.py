"""The `flowgauge` command itself: finding subcommands, and errors as one sentence."""

import sys
from importlib import import_module

import click

from flowgauge import __version__
from flowgauge.errors import FlowgaugeError

__all__ = ["main"]

# A table, not imports: `flowgauge rate-limit show` must not pay for the exporter's web server.
_COMMANDS = {
    "check": "flowgauge.cli.check:check",
    "check-rules": "flowgauge.cli.check_rules:check_rules_command",
    "dashboards": "flowgauge.cli.dashboards:dashboards",
    "environment": "flowgauge.cli.environment:environment",
    "exporter": "flowgauge.cli.exporter:exporter",
    "mutate-rules": "flowgauge.cli.mutate_rules:mutate_rules_command",
    "outbox": "flowgauge.cli.outbox:outbox",
    "render": "flowgauge.cli.render:render_command",
    "rate-limit": "flowgauge.cli.rate_limit:rate_limit",
    "relay": "flowgauge.cli.relay:relay",
    "runs": "flowgauge.cli.runs:runs",
    "store": "flowgauge.cli.store:store",
}


class _LazyGroup(click.Group):
    """A group that imports a subcommand's module only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="flowgauge")
def _cli() -> None:
    """Prometheus metrics, dashboards and tested alerts for MLflow and Airflow.

    Exit codes: 0 fine, 1 something is wrong, 2 wrong usage.
    """


def main() -> None:
    """Run the command line; whatever goes wrong is one sentence on stderr."""
    try:
        _cli(prog_name="flowgauge")
    except FlowgaugeError as error:
        click.echo(f"flowgauge: {error}", err=True)
        sys.exit(error.exit_code)
