import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dashboards.__main__ import main


def _generate(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    """A folder with the dashboards freshly generated."""
    assert _generate("--folder", str(tmp_path)).exit_code == 0
    return tmp_path


def test_committed_dashboards_are_those_the_definitions_generate() -> None:
    """What people import from `dashboards/json` is what the code describes."""
    result = _generate("--check")

    assert result.exit_code == 0, result.output


def test_generating_twice_gives_the_same_files(generated: Path) -> None:
    """Regenerating without a change leaves no difference for a review to read."""
    first = {path: path.read_bytes() for path in generated.glob("*/*.json")}
    _generate("--folder", str(generated))

    assert first == {path: path.read_bytes() for path in generated.glob("*/*.json")}


def test_every_file_is_named_after_its_uid(generated: Path) -> None:
    """A dashboard's address in Grafana tells its file."""
    for form in ("json", "grafana_com"):
        files = list((generated / form).iterdir())
        assert {json.loads(path.read_text())["uid"] for path in files} == {
            path.stem for path in files
        }
        assert len(files) > 3


@pytest.mark.parametrize("change", ["edited", "missing", "foreign"])
def test_check_names_the_file_that_differs_and_the_cure(generated: Path, change: str) -> None:
    """An edited, a missing and a foreign file each fail the check, in one sentence."""
    path = generated / "json" / "flowgauge-server.json"
    if change == "edited":
        path.write_text(path.read_text().replace("MLflow", "mlflow"))
    elif change == "missing":
        path.unlink()
    else:
        path = generated / "grafana_com" / "mine.json"
        path.write_text("{}")

    result = _generate("--check", "--folder", str(generated))

    assert result.exit_code == 1
    assert result.output == f"Error: not as generated: {path}; run `make dashboards`\n"


_BOARDS = sorted((Path(__file__).parents[2] / "dashboards" / "json").glob("*.json"))


@pytest.mark.parametrize("board", _BOARDS, ids=lambda board: board.stem)
def test_the_published_form_asks_for_the_data_source(board: Path) -> None:
    """An import asks for one data source; with the answer, it is the provisioned dashboard."""
    published = (board.parents[1] / "grafana_com" / board.name).read_text()
    inputs = json.loads(published)["__inputs"]
    assert [one["name"] for one in inputs] == ["DS_PROMETHEUS"]
    assert inputs[0]["pluginId"] == "prometheus"

    # What an import does with the answer.
    imported = json.loads(published.replace("${DS_PROMETHEUS}", "their-prometheus"))

    source = imported["templating"]["list"][0]
    assert source["name"] == "datasource"
    assert source.pop("current") == {"text": "their-prometheus", "value": "their-prometheus"}
    for key in ("__inputs", "__elements", "__requires", "id"):
        del imported[key]
    provisioned = json.loads(board.read_text())
    del provisioned["templating"]["list"][0]["current"]
    assert imported == provisioned


@pytest.mark.parametrize("board", _BOARDS, ids=lambda board: board.stem)
def test_the_published_form_says_what_it_needs(board: Path) -> None:
    """Grafana, Prometheus and each kind of panel; a description, as Grafana.com shows one."""
    published = json.loads((board.parents[1] / "grafana_com" / board.name).read_text())
    panels = [inner for panel in published["panels"] for inner in (panel, *panel.get("panels", ()))]
    needed = {(part["type"], part["id"]) for part in published["__requires"]}
    assert needed == {
        ("grafana", "grafana"),
        ("datasource", "prometheus"),
        *(("panel", panel["type"]) for panel in panels if panel["type"] != "row"),
    }
    assert published["description"]
    assert published["tags"]
