import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.history import SCRAPE_SECONDS, History, history
from stack.preview import DASHBOARDS, build, preview
from stack.screenshots import look

UIDS = sorted(path.stem for path in DASHBOARDS.glob("*.json"))


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """A Prometheus that scraped the system through an outage."""
    with history(tmp_path_factory.mktemp("history"), hours=2) as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    """The preview's page, built."""
    build()


def _look(past: History, url: str, uids: list[str]) -> dict[str, list[str]]:
    return look(url, uids, end=past.end, scrape_seconds=SCRAPE_SECONDS)


def test_every_dashboard_is_drawn_whole(past: History, tmp_path: Path) -> None:
    """A browser shows every panel with data, legend and uncut text, and reports no error."""
    with preview(tmp_path, past.url) as url:
        assert _look(past, url, UIDS) == {uid: [] for uid in UIDS}


def test_the_browser_sees_what_is_wrong(past: History, tmp_path: Path) -> None:
    """No data, no legend, cut text and a broken query are each named with their panel."""
    board = json.loads((DASHBOARDS / "flowgauge-server.json").read_text())
    panels: dict[str, Any] = {panel["title"]: panel for panel in board["panels"]}
    panels["Requests by status"]["targets"][0]["expr"] = "vector(1) > 1"
    panels["Connections"]["options"]["legend"]["showLegend"] = False
    panels["In progress"]["title"] = "In progress " * 10
    panels["Artifact traffic"]["targets"][0]["expr"] = "rate("
    (tmp_path / "broken.json").write_text(json.dumps(board))

    with preview(tmp_path, past.url, dashboards=tmp_path) as url:
        found = "\n".join(_look(past, url, ["broken"])["broken"])

    assert "Requests by status: empty" in found
    assert "Connections: no legend" in found
    assert "cut off: In progress" in found
    assert "Artifact traffic: error" in found
