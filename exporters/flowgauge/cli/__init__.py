"""The `flowgauge` command: one module a subcommand, loaded when it is called."""

from flowgauge.cli.main import main

__all__ = ["main"]
