"""The `flowgauge` command itself: finding subcommands, and errors as one sentence."""

import os
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from flowgauge import __version__
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.redact import quote, spell

__all__ = ["COMMAND", "main"]

_TRACKER = "https://github.com/flowgauge/flowgauge/issues"

# A table, not imports: `flowgauge rate-limit show` must not pay for the exporter's web server.
_COMMANDS = {
    "check": "flowgauge.cli.check:check",
    "check-rules": "flowgauge.cli.check_rules:check_rules_command",
    "config": "flowgauge.cli.config:config",
    "completion": "flowgauge.cli.completion:completion",
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


@dataclass
class _How:
    """How the command is to run."""

    debug: bool = False


class _LazyGroup(click.Group):
    """A group that imports a subcommand's module only when it is asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # What comes later, a key or a URL, no store takes; a file may be called as it likes.
        for each in args:
            if not _is_text(each) and not Path(each).exists():
                raise UsageError(f"the argument {os.fsencode(each)!r} is no UTF-8: write it so")
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            for meant in get_close_matches(args[0], self.list_commands(ctx), n=1):
                sentence = f"{error.message} Did you mean {meant!r}?"
                raise click.UsageError(sentence, ctx) from None
            raise


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="flowgauge")
@click.option("--debug", is_flag=True, help="Show the traceback of an error nobody expected.")
@click.pass_obj
def _cli(how: _How, *, debug: bool) -> None:
    """Prometheus metrics, dashboards and tested alerts for MLflow and Airflow.

    Exit codes: 0 fine, 1 something is wrong, 2 wrong usage.
    """
    how.debug = debug


COMMAND: click.Group = _cli
"""The whole command line."""


def _is_text(argument: str) -> bool:
    """Return whether it was UTF-8: bytes that are not come as surrogates."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def main() -> None:
    """Run the command line; whatever goes wrong is one sentence on stderr."""
    how = _How()
    try:
        _cli(prog_name="flowgauge", obj=how)
    except FlowgaugeError as error:
        _fail(str(error), error.exit_code)
    except Exception as error:
        if how.debug:
            raise
        _fail(
            f"an error that nobody expected, {type(error).__name__}: {quote(str(error))}. Please "
            f"report it to {_TRACKER}, with what `flowgauge --debug ...` prints",
            1,
        )


def _fail(sentence: str, exit_code: int) -> NoReturn:
    # The last door: whatever was forgotten within.
    click.echo(f"flowgauge: {spell(sentence)}", err=True)
    sys.exit(exit_code)
