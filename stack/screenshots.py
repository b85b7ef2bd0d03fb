"""`make screenshots`: pictures of every dashboard, from a made-up day with an outage in it."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from stack.history import SCRAPE_SECONDS, history
from stack.preview import DASHBOARDS, PREVIEW, build, preview
from stack.process import StackError

__all__ = ["look", "main"]

_CHECKOUT = Path(__file__).parent.parent
_PICTURES = _CHECKOUT / "docs" / "images"
_THEMES = ("dark", "light")
# These show the outage, the others what came of it.
_SERVER, _ALERTS = "flowgauge-server", "flowgauge-alerts"


def look(
    url: str,
    uids: Sequence[str],
    *,
    end: float,
    scrape_seconds: float,
    theme: str = "dark",
    pictures: Path | None = None,
) -> dict[str, list[str]]:
    """Open dashboards of the preview at *url* in Chromium and return what is wrong with each.

    *end* is the moment their range ends, in Unix time; *pictures* the folder for screenshots: of
    the first screen, and on dark of the whole dashboard as well.
    """
    command = ["node", "look.mjs", url, ",".join(uids), f"--theme={theme}", f"--end={end}",
               f"--scrape={scrape_seconds}"]  # fmt: skip
    if pictures:
        command.append(f"--pictures={pictures.resolve()}")
        if theme == "dark":
            command.append("--whole")
    looked = subprocess.run(command, cwd=PREVIEW, capture_output=True, text=True, check=False)
    if looked.returncode != 0:
        raise StackError(f"look.mjs ended with {looked.returncode}:\n{looked.stderr}")
    defects: dict[str, list[str]] = json.loads(looked.stdout)
    return defects


@click.command()
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    default=_PICTURES,
    help="The folder to write to.",
)
def main(pictures: Path) -> None:
    """Draw every dashboard on dark and on light."""
    build()
    pictures.mkdir(parents=True, exist_ok=True)
    uids = sorted(path.stem for path in DASHBOARDS.glob("*.json"))
    folder = Path(tempfile.mkdtemp(prefix="flowgauge-screenshots-"))
    try:
        with history(folder) as past, preview(folder, past.url) as url:
            for theme in _THEMES:
                for uid in uids:
                    end = {_SERVER: past.fall, _ALERTS: past.outage}.get(uid, past.end)
                    found = look(
                        url, [uid], end=end, scrape_seconds=SCRAPE_SECONDS, theme=theme,
                        pictures=pictures,
                    )  # fmt: skip
                    click.echo(f"{theme}: {json.dumps(found)}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
