"""Alertmanager's configuration, on the real one: who is told, and what stays silent."""

import subprocess
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import httpx
import pytest
import yaml

from flowgauge.assets import asset
from flowgauge.rules.files import read_rules
from stack.process import wait_for
from stack.prometheus import alertmanager

_CONFIGURATION = asset("alerts") / "alertmanager.yml"
_ALERTS = {
    rule.alert: rule.labels["severity"]
    for source in read_rules([str(asset("alerts") / "*.yaml")])
    for rule in source.file.rules
    if rule.alert
}

_SUFFERING = {
    "MLflowErrorBudgetBurn1h",
    "MLflowErrorBudgetBurn6h",
    "MLflowErrorBudgetBurn1d",
    "MLflowErrorBudgetBurn3d",
    "MLflowDagLoggingFailing",
    "MLflowDagRequestsFailing",
    "MLflowDagStoppedLogging",
    "MLflowRunsStale",
    "MLflowOutboxBacklog",
    "FlowgaugeCollectorFailing",
}
_SERVER = {"MLflowHighErrorRate", "MLflowHighLatency", "MLflowArtifactUploadsFailing"}
_POOL = {"MLflowPostgresConnectionPoolExhausted"}
_SILENCES = {
    "MLflowServerDown": {
        "MLflowApiFailing",
        "MLflowPostgresConnectionPoolTimeouts",
        *_POOL,
        *_SERVER,
        *_SUFFERING,
    },
    "MLflowServerAbsent": {"MLflowApiFailing", *_SUFFERING},
    "MLflowPostgresConnectionPoolTimeouts": {"MLflowApiFailing", *_POOL, *_SERVER, *_SUFFERING},
    "MLflowApiFailing": {*_SERVER, *_SUFFERING},
    "MLflowHighErrorRate": {"MLflowHighLatency", *_SUFFERING},
    "MLflowErrorBudgetBurn1h": {
        "MLflowErrorBudgetBurn6h",
        "MLflowErrorBudgetBurn1d",
        "MLflowErrorBudgetBurn3d",
    },
    "MLflowErrorBudgetBurn6h": {"MLflowErrorBudgetBurn1d", "MLflowErrorBudgetBurn3d"},
    "MLflowErrorBudgetBurn1d": {"MLflowErrorBudgetBurn3d"},
}
_EXPORTERS = (
    "Flowgauge", "MLflowApi", "MLflowDag", "MLflowRuns", "MLflowOutbox", "MLflowRateLimit"
)  # fmt: skip


@pytest.fixture(scope="module")
def notifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an Alertmanager with our configuration."""
    with alertmanager(tmp_path_factory.mktemp("alertmanager"), _CONFIGURATION) as address:
        yield f"http://{address}/api/v2/alerts"


def _alert(name: str, environment: str, **labels: str) -> dict[str, Any]:
    """Return an alert as Prometheus sends it, with the labels its rule gives it."""
    own = {"alertname": name, "severity": _ALERTS[name], "environment": environment}
    if name.startswith(_EXPORTERS):
        own |= {"job": "flowgauge", "collector": "tracking"}
    elif name == "MLflowServerAbsent" or "ErrorBudget" in name:
        own |= {"job": "mlflow"}
    else:
        own |= {"job": "mlflow", "instance": "a:5000"}
    return {"labels": own | labels, "annotations": {}}


def _post(notifier: str, alerts: Sequence[dict[str, Any]]) -> None:
    httpx.post(notifier, json=alerts, timeout=30).raise_for_status()


def _inhibited(notifier: str) -> set[tuple[str, str]]:
    """Return environment and name of every alert that another one silences now."""
    return {
        (alert["labels"]["environment"], alert["labels"]["alertname"])
        for alert in httpx.get(notifier, timeout=30).json()
        if alert["status"]["inhibitedBy"]
    }


def test_the_configuration_is_accepted() -> None:
    """Amtool and Prometheus load what lies in the folder, each its own files."""
    subprocess.run(["amtool", "check-config", str(_CONFIGURATION)], check=True)


def test_prometheus_loads_the_folder(folder: Path) -> None:
    """`rule_files: alerts/*.yaml` loads the rules, and not Alertmanager's configuration."""
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(asset("alerts") / "*.yaml")]}))
    checked = subprocess.run(
        ["promtool", "check", "config", str(file)], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=critical"], "page"),
        (["severity=warning"], "ticket"),
        (["alertname=SomebodyElses"], "ticket"),
    ],
)
def test_severity_chooses_the_receiver(labels: list[str], receiver: str) -> None:
    """Critical alerts page, all others make a ticket."""
    command = ["amtool", "config", "routes", "test", f"--config.file={_CONFIGURATION}", *labels]
    routed = subprocess.run(command, capture_output=True, text=True, check=True)

    assert routed.stdout.strip() == receiver


def test_causes_silence_what_they_bring_about_and_nothing_else(notifier: str) -> None:
    """For every pair of alerts, one silences the other only if it explains it."""
    pairs = {f"{one}+{other}": (one, other) for one, other in combinations(_ALERTS, 2)}
    expected = {
        (environment, target)
        for environment, pair in pairs.items()
        for source, target in (pair, reversed(pair))
        if target in _SILENCES.get(source, ())
    }
    _post(notifier, [_alert(name, both) for both, pair in pairs.items() for name in pair])

    def silenced() -> set[tuple[str, str]]:
        return {one for one in _inhibited(notifier) if one[0] in pairs}

    wait_for(lambda: silenced() >= expected, "every cause silences what it explains")
    assert silenced() == expected


def test_servers_environments_and_collectors_are_kept_apart(notifier: str) -> None:
    """A dead server silences neither another server's errors nor another environment's."""
    _post(
        notifier,
        [
            _alert("MLflowServerDown", "apart", instance="b:5000"),
            _alert("MLflowHighErrorRate", "apart"),
            _alert("FlowgaugeCollectorFailing", "apart", collector="outbox"),
            _alert("MLflowOutboxBacklog", "elsewhere"),
            _alert("MLflowOutboxBacklog", "apart"),
        ],
    )

    def silenced() -> set[tuple[str, str]]:
        return {one for one in _inhibited(notifier) if one[0] in {"apart", "elsewhere"}}

    wait_for(silenced, "the outbox's alert is silenced")
    assert silenced() == {("apart", "MLflowOutboxBacklog")}


def test_only_the_cause_is_delivered(folder: Path, received: "Queue[tuple[str, str]]") -> None:
    """With a dead server the pager hears of the server alone, while other trouble comes through."""
    with alertmanager(folder, _with_webhooks(folder, received)) as address:
        notifier = f"http://{address}/api/v2/alerts"
        _post(notifier, [_alert("MLflowServerDown", "prod")])
        assert received.get(timeout=60) == ("/page", "MLflowServerDown")

        explained = sorted(_SILENCES["MLflowServerDown"])
        control = "FlowgaugeDagsOverLimit"
        _post(notifier, [_alert(name, "prod") for name in (*explained, control)])
        assert received.get(timeout=60) == ("/ticket", control)
        assert received.empty()


@pytest.fixture
def received() -> Iterator["Queue[tuple[str, str]]"]:
    """What a webhook receives: path and alert name; `queue.url` is its address."""
    queue: Queue[tuple[str, str]] = Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            for alert in yaml.safe_load(self.rfile.read(length))["alerts"]:
                queue.put((self.path, alert["labels"]["alertname"]))
            self.send_response(200)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    queue.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    yield queue
    server.shutdown()
    server.server_close()


def _with_webhooks(folder: Path, received: "Queue[tuple[str, str]]") -> Path:
    """Return our configuration with receivers that deliver, and without the wait for a group."""
    configuration = yaml.safe_load(_CONFIGURATION.read_text())
    for receiver in configuration["receivers"]:
        url = f"{received.url}/{receiver['name']}"  # type: ignore[attr-defined]
        receiver["webhook_configs"] = [{"url": url}]
    route = configuration["route"]
    for one in (route, *route["routes"]):
        one["group_wait"] = "1s"
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(configuration))
    return file
