"""Write the dashboards' JSON, or with `--check` compare it with what is committed."""

import json
from pathlib import Path

import click

from dashboards.alerts import alerts
from dashboards.dags import dags
from dashboards.grafana import Json, exported, to_json
from dashboards.inventory import inventory
from dashboards.rate_limit import rate_limit
from dashboards.server import server

__all__ = ["main"]

_DASHBOARDS = (server, dags, rate_limit, inventory, alerts)
_FORMS = {"json": lambda board: board, "grafana_com": exported}


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file is not as generated.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(__file__).parent,
    help="Where the folders json and grafana_com lie.",
)
def main(folder: Path, *, check: bool) -> None:
    """Write every dashboard to `<uid>.json`, in each form, or compare what lies there."""
    boards = [to_json(build()) for build in _DASHBOARDS]
    texts = {
        folder / form / f"{board['uid']}.json": _text(shaped(board))
        for form, shaped in _FORMS.items()
        for board in boards
    }
    if not check:
        for path, text in texts.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return
    stale = {path for path, text in texts.items() if not path.exists() or path.read_text() != text}
    stale |= {path for form in _FORMS for path in (folder / form).glob("*.json")} - set(texts)
    if stale:
        names = ", ".join(sorted(str(path) for path in stale))
        raise click.ClickException(f"not as generated: {names}; run `make dashboards`")


def _text(board: Json) -> str:
    return json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
