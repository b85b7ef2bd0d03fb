"""Every runbook can be followed: its sections, commands, queries, names and links hold."""

import re
import shlex
import subprocess
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner

import flowgauge
from flowgauge.assets import asset
from flowgauge.cli.main import _cli
from flowgauge.metrics import EXPORTER_METRICS, SERVER_METRICS
from flowgauge.rules import promql
from flowgauge.rules.files import read_rules
from flowgauge.rules.vocabulary import Vocabulary

_PAGES = sorted(asset("runbooks").glob("*.md"))
_SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
_VOCABULARY = Vocabulary(
    rule for source in read_rules([str(asset("alerts") / "*.yaml")]) for rule in source.file.rules
)
# A histogram is named without the suffixes of its series; mlflow_enable is a parameter of DAGs.
_FAMILIES = {metric.name for metric in (*SERVER_METRICS, *EXPORTER_METRICS)} | {"mlflow_enable"}
_pages = pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def _commands(page: Path) -> list[list[str]]:
    lines = "".join(_blocks(page, "bash")).splitlines()
    return [shlex.split(line) for line in lines if line.startswith("flowgauge ")]


def _option(setting: str) -> str:
    """Return the option of `flowgauge exporter` that *setting* stands for."""
    return setting.removeprefix("FLOWGAUGE_").lower().replace("_", "-")


@_pages
def test_it_has_the_four_sections(page: Path) -> None:
    """A page is titled with its alert and says meaning, impact, diagnosis and mitigation."""
    title, *sections = re.split(r"^##? (.+)\n", page.read_text(), flags=re.MULTILINE)[1:]

    assert title == page.stem
    assert sections[1::2] == _SECTIONS
    assert all(text.strip() for text in sections[2::2])


@_pages
def test_its_shell_commands_parse(page: Path) -> None:
    """Bash reads every command on the page."""
    for block in _blocks(page, "bash"):
        checked = subprocess.run(
            ["bash", "-n"], input=block, text=True, capture_output=True, check=False
        )
        assert checked.stderr == ""


@pytest.mark.parametrize(
    "command", [pytest.param(one, id=shlex.join(one)) for page in _PAGES for one in _commands(page)]
)
def test_its_flowgauge_commands_exist(command: list[str]) -> None:
    """Every `flowgauge` command on a page has that name and those options."""
    result = CliRunner().invoke(_cli, [*command[1:], "--help"])

    assert (result.exit_code, result.output.splitlines()[0].split()[0]) == (0, "Usage:")


@_pages
def test_its_queries_name_what_exists(page: Path) -> None:
    """Every query on a page parses, and its series and labels are exported or recorded."""
    queries = [line for block in _blocks(page, "promql") for line in block.splitlines()]
    selectors = [
        node
        for query in queries
        for node in promql.parse(query).walk()
        if isinstance(node, promql.Selector)
    ]
    for selector in selectors:
        labels = _VOCABULARY.labels(selector.metric)
        assert labels is not None, selector.metric
        assert {matcher.label for matcher in selector.matchers} <= labels


@_pages
def test_its_names_and_links_hold(page: Path) -> None:
    """Metrics and settings that the text names exist, and pages that it links to are there."""
    text = page.read_text()
    settings = Path(mlflow.__file__).with_name("environment_variables.py").read_text()
    settings += (Path(mlflow.__file__).parent / "server" / "constants.py").read_text()
    sources = "".join(path.read_text() for path in Path(flowgauge.__file__).parent.rglob("*.py"))

    for name in re.findall(r"`((?:mlflow|flowgauge)_\w+)[^`]*`", text):
        assert name in _FAMILIES or _VOCABULARY.labels(name) is not None, name
    for setting in re.findall(r"\bMLFLOW_\w+", text):
        assert setting in settings, setting
    for setting in re.findall(r"\bFLOWGAUGE_\w+", text):
        assert setting in sources or f"--{_option(setting)}" in sources, setting
    for link in re.findall(r"\]\((\w+\.md)\)", text):
        assert page.with_name(link).is_file(), link
