"""`flowgauge completion`."""

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]

_SHELLS = ("bash", "fish", "zsh")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete the commands and options of flowgauge.

    For bash: eval "$(flowgauge completion bash)" in ~/.bashrc. For zsh the same in ~/.zshrc. For
    fish: flowgauge completion fish > ~/.config/fish/completions/flowgauge.fish.
    """
    described = get_completion_class(shell)
    if described is None:
        raise click.UsageError(f"this version of click completes nothing for {shell}: upgrade it")
    root = context.find_root()
    click.echo(described(root.command, {}, "flowgauge", "_FLOWGAUGE_COMPLETE").source())
