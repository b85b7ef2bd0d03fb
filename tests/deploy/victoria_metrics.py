"""VictoriaMetrics and vmalert with the recipe's commands: `make test-victoria-metrics`."""

import re
from functools import partial
from pathlib import Path

import httpx
import yaml

from flowgauge.assets import asset
from stack.exporter import exporter
from stack.process import LOOPBACK, answers, free_port, running, wait_for
from stack.prometheus import Prometheus
from stack.rules import scaled_rules
from tests.deploy.test_recipes import PAGE, faster
from tests.documents import blocks

_SHELL = [block.text for block in blocks(PAGE, language="bash")]
[_SCRAPE] = [text for text in _SHELL if "victoria-metrics " in text]
[_ALERT] = [text for text in _SHELL if "vmalert " in text]
[_FILE] = [block.text for block in blocks(PAGE) if block.checked == "prometheus"]


def _rules() -> set[str]:
    read = [yaml.safe_load(file.read_text()) for file in asset("alerts").glob("*.yaml")]
    return {
        rule.get("alert") or rule["record"]
        for file in read for group in file["groups"] for rule in group["rules"]
    }  # fmt: skip


def test_victoria_metrics_scrapes_and_vmalert_evaluates(folder: Path) -> None:
    """The exporter is found, every rule is loaded and evaluated well, and the watchdog fires."""
    scaled_rules(folder / "alerts", 30)
    storage, alerting = (f"{LOOPBACK}:{free_port()}" for _ in range(2))
    scrape = _SCRAPE.replace("127.0.0.1:8428", storage)
    alert = _ALERT.replace("127.0.0.1:8428", storage).replace("127.0.0.1:8880", alerting)
    mlflow = f"http://{LOOPBACK}:{free_port()}"
    with exporter(folder, mlflow_uri=mlflow, store=f"sqlite:///{folder}/store.db") as url:
        (folder / "prometheus.yml").write_text(faster(_FILE, url))
        with running(
            ["bash", "-euc", scrape], log=folder / "victoria-metrics.log", cwd=folder,
            ready=partial(answers, f"http://{storage}/health"),
        ):  # fmt: skip
            database = Prometheus(f"http://{storage}")
            up = 'mlflow_up{job="flowgauge",environment="prod"}'
            wait_for(lambda: database.value(up) == 0, "the exporter is scraped")
            with running(
                ["bash", "-euc", faster(alert, url)], log=folder / "vmalert.log", cwd=folder,
                ready=partial(answers, f"http://{alerting}/health"),
            ):  # fmt: skip
                firing = 'ALERTS{alertname="FlowgaugeWatchdog",alertstate="firing"}'
                wait_for(lambda: database.value(firing) == 1, "the watchdog's alert fires")
                wait_for(partial(_evaluated, f"http://{alerting}"), "every rule is evaluated")


def _evaluated(vmalert: str) -> bool:
    answer = httpx.get(f"{vmalert}/api/v1/rules", timeout=10).json()
    rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == _rules()
    assert [rule["lastError"] for rule in rules if rule["health"] not in ("ok", "unknown")] == []
    return all(not re.match("0001-", rule["lastEvaluation"]) for rule in rules)
