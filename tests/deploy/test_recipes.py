"""The recipes' files are what the programs that they are for read."""

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from flowgauge.assets import asset
from stack.exporter import exporter
from stack.process import LOOPBACK, answers, free_port, running, wait_for
from stack.prometheus import Prometheus
from tests.documents import Block, blocks, check_shell

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
_JOBS = {"mlflow", "flowgauge", "flowgauge-relay"}
[_PROMETHEUS] = [block for block in blocks(PAGE) if block.checked == "prometheus"]
[_COLLECTOR] = [block for block in blocks(PAGE) if block.checked == "collector"]


def faster(text: str, exporter_url: str) -> str:
    """A recipe's file that scrapes each second, and the exporter where it is."""
    return text.replace("15s", "1s").replace("127.0.0.1:9877", urlsplit(exporter_url).netloc)


def _promtool(configuration: str, folder: Path) -> None:
    (folder / "alerts").symlink_to(asset("alerts"))
    (folder / "prometheus.yml").write_text(configuration)
    subprocess.run(["promtool", "check", "config", folder / "prometheus.yml"], check=True)


@pytest.mark.parametrize("block", blocks(PAGE), ids=str)
def test_every_block_is_checked(block: Block) -> None:
    """Bash reads the commands; the two files have tests of their own."""
    if block.language == "bash":
        check_shell(block.text)
    else:
        assert block in (_PROMETHEUS, _COLLECTOR)


def test_prometheus_finds_the_exporter(folder: Path) -> None:
    """Prometheus runs with the recipe's file, and every rule in it is well."""
    _promtool(_PROMETHEUS.text, folder)
    address = f"{LOOPBACK}:{free_port()}"
    store = f"sqlite:///{folder}/store.db"
    with exporter(folder, mlflow_uri=f"http://{LOOPBACK}:{free_port()}", store=store) as url:
        (folder / "prometheus.yml").write_text(faster(_PROMETHEUS.text, url))
        command = ["prometheus", "--config.file=prometheus.yml", f"--web.listen-address={address}"]
        log = folder / "prometheus.log"
        ready = f"http://{address}/-/ready"
        with running(command, log=log, cwd=folder, ready=lambda: answers(ready)):
            scraping = Prometheus(f"http://{address}")
            up = 'up{job="flowgauge",environment="prod"}'
            wait_for(lambda: scraping.value(up) == 1, "the exporter is scraped")


def test_the_collector_scrapes_the_same(folder: Path) -> None:
    """The receiver's part is a Prometheus' configuration; its pipeline names what there is."""
    collector = yaml.safe_load(_COLLECTOR.text)
    scraping = collector["receivers"]["prometheus"]["config"]
    _promtool(yaml.safe_dump(scraping), folder)
    assert {job["job_name"] for job in scraping["scrape_configs"]} == _JOBS
    prometheus = yaml.safe_load(_PROMETHEUS.text)
    assert {job["job_name"] for job in prometheus["scrape_configs"]} == _JOBS
    [pipeline] = collector["service"]["pipelines"].values()
    assert {kind: set(names) for kind, names in pipeline.items()} == {
        kind: set(collector[kind]) for kind in pipeline
    }
    assert not re.search(r"(?<!\$)\$(?!\$)", _COLLECTOR.text)
