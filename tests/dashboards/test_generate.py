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
    first = {path.name: path.read_bytes() for path in generated.iterdir()}
    _generate("--folder", str(generated))

    assert first == {path.name: path.read_bytes() for path in generated.iterdir()}


def test_every_file_is_named_after_its_uid(generated: Path) -> None:
    """A dashboard's address in Grafana tells its file."""
    uids = {json.loads(path.read_text())["uid"] for path in generated.iterdir()}

    assert uids == {path.stem for path in generated.iterdir()}


@pytest.mark.parametrize("change", ["edited", "missing", "foreign"])
def test_check_names_the_file_that_differs_and_the_cure(generated: Path, change: str) -> None:
    """An edited, a missing and a foreign file each fail the check, in one sentence."""
    path = generated / "flowgauge-server.json"
    if change == "edited":
        path.write_text(path.read_text().replace("MLflow", "mlflow"))
    elif change == "missing":
        path.unlink()
    else:
        path = generated / "mine.json"
        path.write_text("{}")

    result = _generate("--check", "--folder", str(generated))

    assert result.exit_code == 1
    assert result.output == f"Error: not as generated: {path}; run `make dashboards`\n"
