import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowgauge.assets import asset
from stack.process import LOOPBACK, free_port, python_tool
from stack.unwell import canned_server
from tests.grafana.stand_in import TOKEN, Grafana, grafana

UIDS = {path.stem for path in asset("dashboards").glob("*.json")}
SERVER = "flowgauge-server"


@pytest.fixture
def server() -> Iterator[Grafana]:
    """An empty Grafana."""
    with grafana() as running:
        yield running


def _import(
    url: str, *options: str, token: str = TOKEN, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = [python_tool("flowgauge"), "dashboards", "import", "--grafana-url", url, *options]
    environ = {**({"GRAFANA_TOKEN": token} if token else {}), **variables}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def test_an_empty_grafana_gets_folder_and_dashboards(server: Grafana) -> None:
    """One command creates the folder and every dashboard under its own uid."""
    done = _import(server.url)

    assert done.returncode == 0, done.stderr
    assert server.folders == {"flowgauge": "flowgauge"}
    assert server.dashboards.keys() == UIDS
    assert {stored.folder for stored in server.dashboards.values()} == {"flowgauge"}
    assert f"{SERVER}: created" in done.stdout.splitlines()


def test_importing_again_changes_nothing(server: Grafana) -> None:
    """A second import makes no new version of any dashboard."""
    _import(server.url)
    done = _import(server.url)

    assert done.returncode == 0
    assert set(done.stdout.splitlines()) == {f"{uid}: unchanged" for uid in UIDS}
    assert {len(stored.versions) for stored in server.dashboards.values()} == {1}


def test_a_newer_dashboard_replaces_the_imported_one(server: Grafana, folder: Path) -> None:
    """An upgrade brings what is new, and nothing else."""
    _import(server.url)
    board = json.loads((asset("dashboards") / f"{SERVER}.json").read_text())
    (folder / "new.json").write_text(json.dumps({**board, "title": "New"}))
    done = _import(server.url, "--from", str(folder))

    assert done.stdout == f"{SERVER}: updated\n"
    assert server.dashboards[SERVER].versions[-1]["data"]["title"] == "New"


def test_what_somebody_edited_is_left_alone(server: Grafana) -> None:
    """An edited dashboard stays as it is, the others are imported, and the exit code tells."""
    _import(server.url)
    server.edit(SERVER, "Mine")
    done = _import(server.url)

    assert done.returncode == 1
    assert f"{SERVER}: left alone: edited by hand" in done.stdout
    assert "--overwrite" in done.stderr
    assert server.dashboards[SERVER].versions[-1]["data"]["title"] == "Mine"


def test_overwrite_replaces_what_somebody_edited(server: Grafana) -> None:
    """--overwrite brings back our dashboard; the edit stays in the version history."""
    _import(server.url)
    server.edit(SERVER, "Mine")
    done = _import(server.url, "--overwrite")

    assert done.returncode == 0
    assert [each["data"]["title"] for each in server.dashboards[SERVER].versions] == [
        "MLflow server",
        "Mine",
        "MLflow server",
    ]
    assert "unchanged" in _import(server.url).stdout


def test_a_dashboard_moved_to_another_folder_comes_back(server: Grafana) -> None:
    """Every import ends with the dashboards in their folder."""
    _import(server.url)
    server.dashboards[SERVER].folder = "elsewhere"
    _import(server.url)

    assert server.dashboards[SERVER].folder == "flowgauge"


def test_a_provisioned_dashboard_is_left_alone(server: Grafana) -> None:
    """What Grafana loads from a file is not fought over."""
    _import(server.url)
    server.dashboards[SERVER].provisioned = True
    done = _import(server.url, "--overwrite")

    assert done.returncode == 1
    assert f"{SERVER}: left alone: provisioned" in done.stdout


def test_the_token_may_come_from_a_file(server: Grafana, folder: Path) -> None:
    """A token in a file, with the newline editors add, keeps it off the command line."""
    (folder / "token").write_text(f"{TOKEN}\n")
    done = _import(server.url, "--token-file", str(folder / "token"), token="")

    assert done.returncode == 0, done.stderr


def _one_sentence(done: subprocess.CompletedProcess[str], exit_code: int, *parts: str) -> None:
    assert done.returncode == exit_code
    assert done.stderr.startswith("flowgauge: ")
    assert done.stderr.count("\n") == 1
    for part in parts:
        assert part in done.stderr


def test_a_refused_token_is_explained(server: Grafana) -> None:
    """401 leads to the token, which itself is not shown."""
    done = _import(server.url, token="glsa_wrong")

    _one_sentence(done, 1, "401", "Invalid API key", "service account")
    assert "glsa_wrong" not in done.stdout + done.stderr


def test_missing_permission_is_explained(server: Grafana) -> None:
    """403 names the role that is needed."""
    server.role = "Viewer"

    _one_sentence(_import(server.url), 1, "403", "role Editor")


def test_a_wrong_path_is_explained(server: Grafana) -> None:
    """404 on everything leads to the address's path."""
    _one_sentence(_import(server.url.removesuffix("/grafana")), 1, "404", "path")


def test_a_save_in_between_is_explained(server: Grafana, folder: Path) -> None:
    """412 says that somebody was faster, and what to do."""
    _import(server.url)
    server.dashboards[SERVER].versions[-1]["data"]["version"] = 0
    board = json.loads((asset("dashboards") / f"{SERVER}.json").read_text())
    (folder / "new.json").write_text(json.dumps({**board, "title": "New"}))

    done = _import(server.url, "--from", str(folder))

    _one_sentence(done, 1, "412", "changed by someone else", "import again")


def test_an_unreachable_grafana_is_explained() -> None:
    """No answer leads to the address, without its password."""
    done = _import(f"http://admin:secret@{LOOPBACK}:{free_port()}")

    _one_sentence(done, 1, "cannot reach Grafana", LOOPBACK)
    assert "secret" not in done.stderr


def test_something_else_than_grafana_is_explained() -> None:
    """A login page in front of Grafana is not mistaken for it."""
    with canned_server() as proxy:
        proxy.body = "<html>Log in</html>"

        _one_sentence(_import(proxy.url), 1, "not as Grafana does")


@pytest.mark.parametrize(
    ("url", "token", "says"),
    [
        ("grafana:3000", TOKEN, "http://"),
        ("http://grafana:port", TOKEN, "no address"),
        ("http://grafana", "", "--token-file"),
        ("http://grafana", "two words", "token"),
    ],
)
def test_wrong_usage_is_one_sentence(url: str, token: str, says: str) -> None:
    """A wrong address or token is told before anything is asked."""
    _one_sentence(_import(url, token=token), 2, says)


@pytest.mark.parametrize(
    ("variable", "value"), [("SSL_CERT_FILE", __file__), ("ALL_PROXY", "ftp://proxy")]
)
def test_surroundings_that_cannot_be_used_are_one_sentence(variable: str, value: str) -> None:
    """Certificates and proxies that the environment names wrongly are told by name."""
    _one_sentence(_import("https://grafana", **{variable: value}), 2, variable)


@pytest.mark.parametrize(
    ("text", "says"), [(None, "no dashboards"), ("{", "not JSON"), ("[]", "no dashboard")]
)
def test_a_folder_without_dashboards_is_one_sentence(
    server: Grafana, folder: Path, text: str | None, says: str
) -> None:
    """A folder that holds something else names the file."""
    if text is not None:
        (folder / "x.json").write_text(text)

    _one_sentence(_import(server.url, "--from", str(folder)), 2, says, str(folder))
