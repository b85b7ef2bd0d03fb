"""How the package is put together."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).parents[1]
_PACKAGE = _CHECKOUT / "exporters" / "flowgauge"
_GROUND = "the ground floor"


def _table() -> dict[str, str]:
    """Every room of docs/architecture.md, from the top, and the cell that says what it rests on."""
    page = (_CHECKOUT / "docs" / "architecture.md").read_text()
    return dict(re.findall(r"^\| `(\w+)/` \|.*\| (.*) \|$", page, re.MULTILINE))


def _room(*parts: str) -> str:
    if parts == ("__main__.py",):  # which is to be where it is
        return "cli"
    return parts[0] if parts and (_PACKAGE / parts[0]).is_dir() else _GROUND


def _imported(file: Path) -> Iterator[str]:
    """The room of every import in *file*: at its top, inside functions, and named in a string."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module="flowgauge", names=names):
                modules = [f"flowgauge.{alias.name}" for alias in names]
            case ast.ImportFrom(module=str(module)):
                modules = [module]
            case ast.Constant(value=str(text)) if re.fullmatch(r"flowgauge(\.\w+)+:\w+", text):
                modules = [text.partition(":")[0]]
            case _:
                continue
        for module in modules:
            package, *parts = module.split(".")
            if package == "flowgauge":
                yield _room(*parts)


def _rests_on() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for file in _PACKAGE.rglob("*.py"):
        room = _room(*file.relative_to(_PACKAGE).parts)
        found[room] |= {other for other in _imported(file) if other not in {room, _GROUND}}
    return found


def test_the_journeys_lead_through_modules_that_are_there() -> None:
    """Every module that docs/architecture.md has a payload or a request pass is where it says."""
    page = (_CHECKOUT / "docs" / "architecture.md").read_text()
    section = page.partition("\n## Two journeys\n")[2].partition("\n## ")[0]
    payload, request = section.split("\n**A request**")
    for journey, room in ((payload, "airflow"), (request, "server")):
        named = re.findall(r"`((?:\w+/)?\w+\.py)`", journey)
        assert len(named) > 8
        for module in named:
            assert (_PACKAGE / module if "/" in module else _PACKAGE / room / module).exists(), (
                module
            )


def test_httpx_is_loaded_at_one_place() -> None:
    """Wherever else it was loaded first, its command line would be too, in every task."""
    loading = [
        file.name
        for file in _PACKAGE.rglob("*.py")
        if re.search(r"^\s*(?:import|from) httpx\b", file.read_text(), re.MULTILINE)
    ]
    assert loading == ["light_httpx.py"]


def test_the_ground_floor_imports_no_room() -> None:
    """What every room may use rests on nothing of ours."""
    assert _rests_on()[_GROUND] == set()


@pytest.mark.parametrize("room", sorted(_rests_on().keys() - {_GROUND}))
def test_no_import_runs_upwards(room: str) -> None:
    """A room imports only from rooms below it, so there is no ring, and the table names them."""
    rooms = list(_table())
    imported = _rests_on()[room]
    assert imported <= set(rooms[rooms.index(room) + 1 :])
    assert imported == _named(_table()[room], set(rooms) - {room})


def _named(cell: str, others: set[str]) -> set[str]:
    named = set(re.findall(r"`(\w+)/`", cell))
    return others - named if cell.startswith("all the others but") else named
