"""Every runbook can be followed: its sections, commands, queries, names and links hold."""

import re
from pathlib import Path

import mlflow
import pytest

import flowgauge
from flowgauge.airflow.reasons import Reason
from flowgauge.assets import asset
from flowgauge.exporter.collectors import COLLECTORS
from flowgauge.metrics import ALL_METRICS, COUNTED_METRICS, MLFLOW_METRICS
from flowgauge.rules import promql
from flowgauge.store import RISKS
from tests.documents import VOCABULARY, blocks, check_links, check_names, check_shell

_PAGES = sorted(set(asset("runbooks").glob("*.md")) - {asset("runbooks") / "README.md"})
_SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
# A histogram is named without the suffixes of its series; mlflow_enable is a parameter of DAGs.
_FAMILIES = {metric.name for metric in (*ALL_METRICS, *MLFLOW_METRICS)} | {"mlflow_enable"}
_pages = pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)


def _option(setting: str) -> str:
    """Return the option of `flowgauge exporter` that *setting* stands for."""
    return setting.removeprefix("FLOWGAUGE_").lower().replace("_", "-")


@_pages
def test_it_has_the_four_sections(page: Path) -> None:
    """A page is titled with its alert and says meaning, impact, diagnosis and mitigation."""
    text = re.sub(r"```.*?```", "(a block)", page.read_text(), flags=re.DOTALL)
    title, *sections = re.split(r"^##? (.+)\n", text, flags=re.MULTILINE)[1:]

    assert title == page.stem
    assert sections[1::2] == _SECTIONS
    assert all(text.strip() for text in sections[2::2])


@_pages
def test_its_commands_exist(page: Path) -> None:
    """Bash reads every block, and `flowgauge` has the subcommands and options in it."""
    for block in blocks(page, language="bash"):
        check_shell(block.text)


@_pages
def test_its_commands_work_as_they_stand(page: Path) -> None:
    """Variables are set before they are used, namespaces are named, and no log is cut short."""
    known = {"HOME"}
    for block in blocks(page, language="bash"):
        for line in block.text.splitlines():
            known |= set(re.findall(r"^(?:read -rs )?([A-Z_]+)(?==|$)", line))
            assert set(re.findall(r"\$\{?([A-Z_]+)", line)) <= known, line
            if line.startswith("kubectl"):
                assert re.search(r" --(namespace|all-namespaces)\b", line), line
            if line.startswith("kubectl") and " logs " in line and "--selector" in line:
                assert "--tail=-1" in line


@_pages
def test_it_serves_every_way_to_deploy(page: Path) -> None:
    """What is looked at or restarted in Kubernetes has its like under systemd and Compose."""
    text = "\n".join(block.text for block in blocks(page, language="bash"))
    for here, likes in {
        r"^kubectl .*\blogs\b": (r"^journalctl ", r"^docker compose logs "),
        r"^kubectl .*\brollout restart\b": (r"^systemctl restart ", r"^docker compose "),
    }.items():
        if re.search(here, text, re.MULTILINE):
            assert all(re.search(like, text, re.MULTILINE) for like in likes)


@_pages
def test_its_queries_name_what_exists(page: Path) -> None:
    """Every query on a page parses, and its series and labels are exported or recorded."""
    for block in blocks(page, language="promql"):
        for query in block.text.splitlines():
            check_names(query)


@_pages
def test_its_queries_show_what_was_counted_first(page: Path) -> None:
    """No query asks for the increase of what the store counts: a series born at 8 has none.

    The alert sees those 8, and so does who looks at what the rules record.
    """
    counted = {metric.name for metric in COUNTED_METRICS}
    for block in blocks(page, language="promql"):
        for query in block.text.splitlines():
            for node in promql.parse(query).walk():
                if isinstance(node, promql.Call) and node.function in {"increase", "rate"}:
                    (series,) = node.operands
                    assert isinstance(series, promql.Selector)
                    assert series.metric not in counted, query


@pytest.mark.parametrize(
    ("alert", "values"),
    [
        ("MLflowDagLoggingFailing", set(Reason) - {Reason.RATE_LIMITED}),
        ("FlowgaugeCollectorFailing", set(COLLECTORS)),
        ("FlowgaugeStoreAtRisk", set(RISKS)),
    ],
)
def test_every_value_of_the_label_that_says_why_has_a_line(alert: str, values: set[str]) -> None:
    """Whatever an alert's label names, its page says what that is."""
    page = (asset("runbooks") / f"{alert}.md").read_text()
    lines = re.findall(r"^\| (`.+?`) \| ", page, re.MULTILINE)

    assert {name for line in lines for name in re.findall(r"`(\w+)`", line)} == values


@_pages
def test_its_names_and_links_hold(page: Path) -> None:
    """Metrics and settings that the text names exist, and pages that it links to are there."""
    text = page.read_text()
    settings = Path(mlflow.__file__).with_name("environment_variables.py").read_text()
    settings += (Path(mlflow.__file__).parent / "server" / "constants.py").read_text()
    sources = "".join(path.read_text() for path in Path(flowgauge.__file__).parent.rglob("*.py"))

    for name in re.findall(r"`((?:mlflow|flowgauge)_\w+)[^`]*`", text):
        assert name in _FAMILIES or VOCABULARY.labels(name) is not None, name
    for setting in re.findall(r"\bMLFLOW_\w+", text):
        assert setting in settings, setting
    for setting in re.findall(r"\bFLOWGAUGE_\w+", text):
        assert setting in sources or f"--{_option(setting)}" in sources, setting
    check_links(page)
