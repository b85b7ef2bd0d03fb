"""`make outage`: ask the running demo to take MLflow away for a while."""

import os
import signal
from pathlib import Path

import click

from stack.demo import DEFAULT_FOLDER, running_demo


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
def main(folder: Path) -> None:
    """Ask the demo that runs in FOLDER, or say that none does."""
    pid = running_demo(folder)
    if pid is None:
        raise click.ClickException("no demo runs here: start one with `make run`.")
    os.kill(pid, signal.SIGUSR1)
    click.echo("MLflow goes away for 30 s: watch the terminal of `make run`.")


if __name__ == "__main__":
    main()
