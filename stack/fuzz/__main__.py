"""`make fuzz`: all targets in turn, until the time is over or one fails."""

import logging
import sys
import time
from collections.abc import Sequence

import click

from stack.fuzz.running import LAST, fuzz
from stack.fuzz.targets import TARGETS

_EXAMPLES = 500


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(sorted(TARGETS)))
@click.option("--minutes", default=1.0, show_default=True, help="How long, all together.")
@click.option("--first", default=0, show_default=True, help="Which inputs to begin with.")
def main(names: Sequence[str], minutes: float, first: int) -> None:
    """Fuzz the targets NAMES, by default all.

    A failure shows the smallest input that fails so. Should the process end instead, the last input
    of each target lies in .run/fuzz.
    """
    # What is wrong with each input is said there, too.
    logging.disable()
    end = time.monotonic() + minutes * 60
    number, tried = first, 0
    while time.monotonic() < end:
        for name in names or TARGETS:
            try:
                fuzz(name, TARGETS[name], examples=_EXAMPLES, number=number, keep=True)
            except BaseException:
                print(f"{name} failed in round {number}; its last input: {LAST / name}", flush=True)
                raise
            tried += _EXAMPLES
            if time.monotonic() >= end:
                break
        number += 1
    print(f"{tried} inputs in {number - first} rounds: none failed")


if __name__ == "__main__":
    sys.exit(main())
