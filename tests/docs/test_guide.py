"""Whoever does what the guide and the install page say gets what they say."""

import re
import sys
from functools import partial
from importlib.metadata import metadata, packages_distributions
from pathlib import Path

import pytest
import yaml
from sklearn import datasets

import flowgauge.airflow
from flowgauge.environment import Environment
from stack.process import wait_for
from tests.docs.conftest import (
    DOCS,
    GUIDE,
    GUIDE_IN_SPANISH,
    INSTALL,
    OPERATE,
    README,
    System,
)
from tests.docs.examples import RUNS
from tests.documents import Block, blocks, check_links, check_names, check_shell, commands

# The first test waits for all servers and DAGs, which take their time on a busy machine.
pytestmark = [pytest.mark.timeout(600), pytest.mark.whole_system(seconds=100)]

_KINDS = {
    "bash": {"runs", "parses", "serves"},
    "python": {"dag"},
    "yaml": {"environment"},
    "promql": {"answers", "names"},
}
_BLOCKS = [*blocks(GUIDE, INSTALL), *(block for block in blocks(OPERATE) if block.checked)]
_SHELL = [*blocks(README, language="sh"), *blocks(GUIDE, INSTALL, language="bash")]


def _kind(block: Block) -> str:
    return block.checked.partition(" ")[0]


def _checked(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "block", [block for block in _BLOCKS if _kind(block) == kind], ids=str
    )


def _queries(block: Block) -> list[str]:
    """Return the block's queries: they are separated by empty lines."""
    return block.text.strip().split("\n\n")


def test_every_block_says_how_it_is_checked() -> None:
    """Before each block stands a comment, of a kind that there is a test for."""
    assert [str(block) for block in _BLOCKS if _kind(block) not in _KINDS[block.language]] == []


@pytest.mark.parametrize(
    "page",
    sorted([*README.parent.glob("*.md"), *DOCS.glob("*.md")]),
    ids=lambda page: str(page.relative_to(README.parent)),
)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files and headings that a page links to are there."""
    check_links(page)


@pytest.mark.parametrize("block", _SHELL, ids=str)
def test_every_command_can_be_read(block: Block) -> None:
    """Bash reads the commands, and ours have those names and options."""
    check_shell(block.text)


def test_the_guide_in_spanish_is_the_same_guide() -> None:
    """It has the same blocks in the same order, the same sections, tables and links to pages."""
    english, spanish = (
        [(block.checked, block.language, block.text) for block in blocks(page)]
        for page in (GUIDE, GUIDE_IN_SPANISH)
    )
    assert spanish == english
    for what in (r"^#+(?= )", r"^\|(?=.*\|$)", r"^(?:\d\.|-) ", r"\]\(([^#)][^)]*)\)"):
        there, here = (
            re.findall(what, _prose(page), re.MULTILINE) for page in (GUIDE, GUIDE_IN_SPANISH)
        )
        assert sorted(here) == sorted(there), what


def _prose(page: Path) -> str:
    text = page.read_text()
    for block in blocks(page):
        text = text.replace(block.text, "")
    return re.sub(r"^\*.*guide(\.es)?\.md.*\n", "", text, flags=re.MULTILINE)


def test_the_guide_says_what_its_dags_need() -> None:
    """What a DAG imports comes with Python, Airflow, flowgauge, or the guide's `pip install`."""
    imported = {
        name
        for block in blocks(GUIDE, language="python")
        for name in re.findall(r"^ *(?:from|import) (\w+)", block.text, re.MULTILINE)
    }
    installed = {
        module
        for block in blocks(GUIDE, language="bash")
        for words in commands(block.text, "pip")
        for module, packages in packages_distributions().items()
        if set(packages) & set(words)
    }
    assert {"mlflow", "sklearn"} <= installed
    assert imported <= installed | sys.stdlib_module_names | {"airflow", "flowgauge"}


@pytest.mark.parametrize("page", [GUIDE, GUIDE_IN_SPANISH], ids=lambda page: page.name)
def test_the_guide_names_all_that_is_public(page: Path) -> None:
    """Every name that DAGs may import is shown or explained."""
    named = set(re.findall(r"\w+", page.read_text()))
    assert set(flowgauge.airflow.__all__) <= named


def test_every_extra_exists() -> None:
    """The extras that the install page names are the package's."""
    named = set(re.findall(r"flowgauge\[(\w+)\]", INSTALL.read_text()))
    extras = set(metadata("flowgauge").get_all("Provides-Extra", []))
    assert named
    assert named <= extras


@_checked("environment")
def test_every_environment_is_valid(block: Block) -> None:
    """The environment files that the guide shows are accepted."""
    Environment.model_validate(yaml.safe_load(block.text))


def test_the_dags_leave_the_runs_they_promise(system: System) -> None:
    """Every DAG succeeds, those that log leave a run each, and the others none."""
    of_the_guide = system.dag_runs.keys() - RUNS.keys()
    assert {dag_id: len(system.runs(dag_id)) for dag_id in of_the_guide} == {
        "daily_wine": 1,
        "plain_mlflow": 1,
        "train_tumour_model": 1,
        "best_tumour_model": 0,
        "clean_diabetes": 1,
        "train_in_steps": 1,
        "trains_anyway": 1,
        "polite": 0,
        "patient": 0,
        "quiet_when_told": 0,
        "many_files": 1,
    }


def test_the_first_dag_logs_its_figures(system: System) -> None:
    """The guide's first run has the figures, facts and tags that its code gives."""
    (run,) = system.runs("daily_wine")
    assert run.data.metrics["rows"] == len(datasets.load_wine().data)
    assert run.data.metrics["mean_alcohol"] == pytest.approx(13.0006, abs=1e-4)
    assert run.data.tags["team"] == "data"
    assert run.data.tags["airflow.task_id"] == "load"


@_checked("answers")
def test_every_query_answers(system: System, block: Block) -> None:
    """Prometheus, scraping MLflow and the exporter, has data for each query."""
    for query in _queries(block):
        wait_for(partial(system.prometheus.query, query), query, timeout=120)


@_checked("names")
def test_every_other_query_names_what_exists(system: System, block: Block) -> None:
    """Queries about incidents are valid for Prometheus, and name known series and labels."""
    for query in _queries(block):
        system.prometheus.query(query)
        check_names(query)


@_checked("runs")
def test_every_command_succeeds(system: System, block: Block) -> None:
    """Each block of commands, run as it stands, ends well."""
    done = system.bash(block)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
