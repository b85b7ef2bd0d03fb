"""`make soak`: prints what every part took at first and at last, and what was done meanwhile."""

import tempfile
from pathlib import Path

import click

from stack.soak.soaking import soak

_ROW = "| {:<16} | {:>9} | {:>9} | {:>6} | {:>6} | {:>7} | {:>7} |"


@click.command(context_settings={"show_default": True})
@click.option("--seconds", default=4 * 3600, help="How long.")
@click.option("--scrape-seconds", default=5.0, help="How long each of 50 scrapers a page waits.")
def main(seconds: int, scrape_seconds: float) -> None:
    """Load all parts for so long; the exit code is 1 if what one of them takes has grown."""
    with tempfile.TemporaryDirectory() as folder:
        soaked = soak(Path(folder), seconds, scrape_seconds)
    click.echo(_ROW.format("", "memory", "then", "files", "then", "threads", "then"))
    click.echo("|---|--:|--:|--:|--:|--:|--:|")
    for name, trend in soaked.trends.items():
        memory = [f"{each / 1e6:.0f} MB" for each in (trend.memory_before, trend.memory_after)]
        others = (
            *(trend.descriptors_before, trend.descriptors_after),
            *(trend.threads_before, trend.threads_after),
        )
        click.echo(_ROW.format(name, *memory, *(f"{each:.0f}" for each in others)))
    click.echo()
    click.echo(f"In {seconds} s: " + ", ".join(f"{n:,} {name}" for name, n in soaked.done.items()))
    for name, what in soaked.grew.items():
        click.echo(f"grew: {name}: {', '.join(what)}")
    raise SystemExit(1 if soaked.grew else 0)


if __name__ == "__main__":
    main()
