"""`make incidents`: try incidents one after the other and print what came of each."""

import logging
import sys
import tempfile
from pathlib import Path

import click

from stack.incidents.catalogue import INCIDENTS
from stack.incidents.incident import Outcome, attempt
from stack.incidents.site import FASTER, site
from stack.process import StackError
from stack.prometheus import version

_ROW = "{:<32} {:<38} {:>7} {:>8}  {}"


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--aftermath",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="HOURS",
    help="Let nothing new fire for so long (scaled) after each, while users go on.",
)
def main(names: tuple[str, ...], aftermath: float) -> None:
    """Try the incidents NAME..., or all of them; exit with 1 unless each ends as it should."""
    unknown = [name for name in names if name not in INCIDENTS]
    if unknown:
        raise click.UsageError(f"no incident {unknown[0]!r}: there are {', '.join(INCIDENTS)}.")
    seconds = aftermath * 3600 / FASTER
    chosen = [
        incident.watched_for(seconds)
        for name, incident in INCIDENTS.items()
        if not names or name in names
    ]
    # What a task says of a store or an MLflow that is gone does not belong into the table.
    logging.getLogger("flowgauge").setLevel(logging.CRITICAL)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="incidents-") as folder:
        try:
            with site(Path(folder)) as running:
                click.echo(
                    f"Prometheus {version('prometheus')}, "
                    f"Alertmanager {version('prometheus-alertmanager')}"
                )
                click.echo(_ROW.format("fault", "alert", "fires", "resolves", "false alarms"))
                for incident in chosen:
                    if not incident.possible():
                        click.echo(f"{incident.name:<32} left out: this user may not cause it")
                        continue
                    outcomes.append(attempt(running, incident))
                    click.echo(_row(outcomes[-1]))
        except StackError as error:
            raise click.ClickException(str(error)) from None
    failed = [outcome.incident.name for outcome in outcomes if not outcome.as_expected]
    if failed:
        click.echo(f"Not as they should be: {', '.join(failed)}.", err=True)
        sys.exit(1)


def _row(outcome: Outcome) -> str:
    incident = outcome.incident
    return _ROW.format(
        incident.name,
        incident.alert or "none",
        _seconds(outcome.fired, due=incident.alert is not None),
        _seconds(outcome.resolved, due=incident.alert is not None),
        ", ".join(sorted(outcome.false_alarms)) or "none",
    )


def _seconds(value: float | None, *, due: bool) -> str:
    if value is None:
        return "never" if due else ""
    return f"{value:.0f} s"


if __name__ == "__main__":
    main()
