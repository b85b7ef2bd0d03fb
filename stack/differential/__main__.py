"""`make differential`: everything on every setup, and a table of what differs."""

import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import click

from stack.differential.answers import Difference, compare, compare_odd, compare_scenario
from stack.differential.killing import kill_workers
from stack.differential.leaving import hang_up, held, stop
from stack.differential.requests import gateway_scenario, odd_requests, requests, scenario
from stack.differential.servers import SETUPS, Pair, both
from stack.differential.streams import stream
from stack.mlflow import mlflow_server

_ROW = "{:<14} {:<26} {:>9} {:>10}  {}"
_SHOWN, _SHOWN_CHARACTERS = 10, 2000
_MEGABYTES = 200
# What a copy of a part or two, and the allocator's mood, may make of it.
_MORE_BYTES = 16_000_000
_MORE_THREADS, _MORE_DESCRIPTORS = 3, 12


@click.command(context_settings={"show_default": True})
@click.argument("names", nargs=-1, type=click.Choice([*SETUPS, "killed"]))
@click.option("--kills", default=50, help="How many workers to kill.")
def main(names: Sequence[str], kills: int) -> None:
    """Compare the setups NAMES, by default all that are here, and kill workers (`killed`)."""
    click.echo(_ROW.format("setup", "", "asked", "different", ""))
    well = True
    here = [name for name, setup in SETUPS.items() if setup.app in (None, *_logins())]
    for name in names or [*here, "killed"]:
        with tempfile.TemporaryDirectory() as folder:
            well &= _killed(Path(folder), kills) if name == "killed" else _all_of(name, folder)
    raise SystemExit(0 if well else 1)


def _logins() -> set[str]:
    return {point.name for point in entry_points(group="mlflow.app")}


def _all_of(name: str, folder: str) -> bool:
    with both(Path(folder), SETUPS[name]) as pair:
        host = pair.bare.url.removeprefix("http://")
        steps = [*scenario(), *(gateway_scenario(pair.provider) if pair.provider else ())]
        well = _say(name, "what a user does", lambda: compare_scenario(pair, steps))
        well &= _say(
            name, "odd requests", lambda: compare_odd(pair, odd_requests(host, pair.prefix))
        )
        well &= _say(name, "every route and method", lambda: compare(pair, requests(pair)))
        if name == "plain":
            well &= _streams(name, pair)
            well &= _leaves(name, pair)
    return well


def _say(name: str, what: str, do: Callable[[], tuple[int, list[Difference]]]) -> bool:
    number, different = do()
    click.echo(_ROW.format(name, what, number, len(different), ""))
    for each in different[:_SHOWN]:
        click.echo(f"  {each.request}")
        for who, answer in (("bare", each.bare), ("ours", each.measured)):
            click.echo(f"    {who} {str(answer)[:_SHOWN_CHARACTERS]}")
    return not different


def _streams(name: str, pair: Pair) -> bool:
    bare, ours = (stream(server, _MEGABYTES) for server in (pair.bare, pair.measured))
    for what, theirs, own in (("up", bare.up, ours.up), ("down", bare.down, ours.down)):
        said = f"memory grows by {own / 1e6:.0f} MB, by {theirs / 1e6:.0f} MB in the bare server"
        click.echo(_ROW.format(name, f"{_MEGABYTES} MB {what}", 1, "", said))
    return ours.up <= bare.up + _MORE_BYTES and ours.down <= bare.down + _MORE_BYTES


def _leaves(name: str, pair: Pair) -> bool:
    number = hang_up(pair.bare)
    hang_up(pair.measured)
    theirs = held(pair.bare, lambda _: True)
    ours = held(
        pair.measured,
        lambda found: (
            found.threads <= theirs.threads + _MORE_THREADS
            and found.descriptors <= theirs.descriptors + _MORE_DESCRIPTORS
        ),
    )
    said = f"{ours.threads} threads, {ours.descriptors} descriptors ({theirs.threads}, "
    click.echo(_ROW.format(name, "clients hang up", number, "", f"{said}{theirs.descriptors})"))
    bare, measured = (stop(server) for server in (pair.bare, pair.measured))
    different = {what for what in bare if bare[what] != measured[what]}
    click.echo(_ROW.format(name, "stopped in flight", len(bare), len(different), measured))
    if different:
        click.echo(f"  bare {bare}")
    return not different


def _killed(folder: Path, kills: int) -> bool:
    with mlflow_server(folder, options=("--app-name", "flowgauge"), workers=4) as server:
        aftermath = kill_workers(server, kills)
    missing = aftermath.answered - aftermath.counted
    said = (
        f"{aftermath.kills} workers killed, {missing:.0f} not counted of at most "
        f"{aftermath.may_be_missing} that were in flight; {aftermath.scrapes} scrapes"
    )
    click.echo(_ROW.format("killed", "", aftermath.answered, len(aftermath.fell), said))
    for each in aftermath.fell:
        click.echo(f"  fell: {each}")
    return not aftermath.fell and missing <= aftermath.may_be_missing


if __name__ == "__main__":
    main()
