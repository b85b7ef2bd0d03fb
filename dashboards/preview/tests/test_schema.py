import copy
import json
import subprocess
from typing import Any

import pytest

from stack.preview import DASHBOARDS, PREVIEW, build

Json = dict[str, Any]

# JSON holds strings where the schema has enumerations: Literal accepts exactly their values.
_TYPES = """
import type { Dashboard } from '@grafana/schema';
type Literal<T> = T extends string ? `${T}`
  : T extends (infer U)[] ? Literal<U>[]
  : T extends object ? { [K in keyof T]: Literal<T[K]> }
  : T;
export const dashboard: Literal<Dashboard> = """


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    """The preview's packages, among them Grafana's schema."""
    build()


def _complaints(boards: dict[str, Json]) -> str:
    """Return what the TypeScript compiler says of *boards* as Grafana's Dashboard type."""
    folder = PREVIEW / "out" / "schema"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.ts"):
        stale.unlink()
    for name, board in boards.items():
        (folder / f"{name}.ts").write_text(_TYPES + json.dumps(_typed(board), indent=1))
    checked = subprocess.run(
        ["npx", "tsc", "--noEmit", "--project", "tsconfig.schema.json"],
        cwd=PREVIEW,
        capture_output=True,
        text=True,
        check=False,
    )
    return checked.stdout


def _typed(board: Json) -> Json:
    """Leave out what Grafana reads but its schema has no type for: the data source's own keys."""
    board = copy.deepcopy(board)
    for annotation in board["annotations"]["list"]:
        for key in ("expr", "step", "tagKeys", "titleFormat", "textFormat"):
            del annotation[key]
    for variable in board["templating"]["list"]:
        variable.pop("definition", None)
    return board


def _boards() -> dict[str, Json]:
    return {path.stem: json.loads(path.read_text()) for path in DASHBOARDS.glob("*.json")}


def test_dashboards_are_of_grafanas_type() -> None:
    """Grafana's published TypeScript types accept every dashboard."""
    assert _complaints(_boards()) == ""


def test_the_types_notice_a_wrong_dashboard() -> None:
    """A wrong enumeration and a wrong type are complained about."""
    board = _boards()["flowgauge-server"]
    board["templating"]["list"][1]["type"] = "querry"
    board["refresh"] = 30

    complaints = _complaints({"wrong": board})

    assert "querry" in complaints
    assert "refresh" in complaints or "number" in complaints
