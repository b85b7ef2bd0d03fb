"""Alertmanager's configuration, on the real one: who is told, and what stays silent."""

import subprocess
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import permutations
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from flowgauge.assets import asset
from flowgauge.exporter.collectors import COLLECTORS
from flowgauge.rules.files import read_rules
from stack.process import wait_for
from stack.prometheus import alertmanager
from tests.documents import blocks

_CONFIGURATION = asset("alerts") / "alertmanager.yml"
_ALERTS = {
    rule.alert: rule.labels["severity"]
    for source in read_rules([str(asset("alerts") / "*.yaml")])
    for rule in source.file.rules
    if rule.alert
}

_BURNING = {
    "MLflowErrorBudgetBurn1h",
    "MLflowErrorBudgetBurn6h",
    "MLflowErrorBudgetBurn1d",
    "MLflowErrorBudgetBurn3d",
}
_SUFFERING = {
    *_BURNING,
    "MLflowHighErrorRate",
    "MLflowHighLatency",
    "MLflowArtifactUploadsFailing",
    "MLflowGatewayFailing",
    "MLflowGatewaySlow",
    "MLflowTraceIngestionFailing",
    "MLflowJobsFailing",
    "MLflowDagLoggingFailing",
    "MLflowDagRequestsFailing",
    "MLflowDagStoppedLogging",
    "MLflowDagsStoppedTogether",
    "MLflowOutboxBacklog",
    "FlowgaugeCollectorFailing",
}
_SERVER = {"MLflowHighErrorRate", "MLflowHighLatency", "MLflowArtifactUploadsFailing"}
_EXHAUSTED = "MLflowPostgresConnectionPoolExhausted"
_TIMEOUTS = "MLflowPostgresConnectionPoolTimeouts"
# What is said of all servers together, by what it explains.
_SILENCES = {
    "MLflowDown": {"MLflowServerDown", "MLflowApiFailing", _EXHAUSTED, _TIMEOUTS, *_SUFFERING},
    _TIMEOUTS: {"MLflowApiFailing", _EXHAUSTED, *_SERVER, *_BURNING},
    "MLflowServerAbsent": _BURNING,
    "MLflowApiFailing": {"MLflowServerAbsent", *_SUFFERING},
    "MLflowHighErrorRate": {"MLflowHighLatency", *_BURNING},
    "FlowgaugeDown": {"FlowgaugeExporterDown"},
    "MLflowDagsStoppedTogether": {"MLflowDagStoppedLogging"},
    "MLflowErrorBudgetBurn1h": _BURNING - {"MLflowErrorBudgetBurn1h"},
    "MLflowErrorBudgetBurn6h": {"MLflowErrorBudgetBurn1d", "MLflowErrorBudgetBurn3d"},
    "MLflowErrorBudgetBurn1d": {"MLflowErrorBudgetBurn3d"},
}
# What is said of one server, by what it explains there.
_SILENCES_THERE = {
    "MLflowServerDown": {_EXHAUSTED, _TIMEOUTS, *_SERVER},
    _TIMEOUTS: {_EXHAUSTED, *_SERVER},
    "MLflowHighErrorRate": {"MLflowHighLatency"},
}
_OF_A_SERVER = {"MLflowServerDown", _EXHAUSTED}
_OF_A_SERVER_OR_ALL = {_TIMEOUTS, *_SERVER}
_EXPORTERS = (
    "Flowgauge", "MLflowApi", "MLflowDag", "MLflowRuns", "MLflowOutbox", "MLflowRateLimit"
)  # fmt: skip


@pytest.fixture(scope="module")
def notifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an Alertmanager with our configuration."""
    with alertmanager(tmp_path_factory.mktemp("alertmanager"), _CONFIGURATION) as address:
        yield f"http://{address}/api/v2/alerts"


def _alert(name: str, environment: str, **labels: str) -> dict[str, Any]:
    """Return an alert as Prometheus sends it, with the labels its rule gives it.

    It is about one server where it can be about nothing else.
    """
    own = {"alertname": name, "severity": _ALERTS[name], "environment": environment}
    if name.startswith(_EXPORTERS):
        own |= {"job": "flowgauge", "collector": "tracking"}
    else:
        own |= {"job": "mlflow"}
    if name in _OF_A_SERVER:
        own |= {"instance": "a:5000"}
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
        (["alertname=FlowgaugeWatchdog", "severity=none"], "watchdog"),
        (["alertname=SomebodyElses"], "ticket"),
    ],
)
def test_severity_chooses_the_receiver(labels: list[str], receiver: str) -> None:
    """Critical alerts page, the watchdog calls whoever is to miss it, all others make a ticket."""
    command = ["amtool", "config", "routes", "test", f"--config.file={_CONFIGURATION}", *labels]
    routed = subprocess.run(command, capture_output=True, text=True, check=True)

    assert routed.stdout.strip() == receiver


def _silenced(
    notifier: str, pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], expected: set[int]
) -> set[int]:
    """Post each pair of alerts in an environment of its own; return which silence their second.

    One more pair, the last to be posted, tells when Alertmanager has seen them all.
    """
    run = uuid4().hex
    seen = (_alert("MLflowDown", "seen"), _alert("MLflowServerDown", "seen"))
    pairs = [*pairs, seen]
    for number, pair in enumerate(pairs):
        for alert in pair:
            alert["labels"]["environment"] += f"-{run}-{number}"
    _post(notifier, [alert for pair in pairs for alert in pair])
    named = {(second["labels"]["environment"], second["labels"]["alertname"]): number
             for number, (_, second) in enumerate(pairs)}  # fmt: skip

    def found() -> set[int]:
        return {named[one] for one in _inhibited(notifier) if one in named}

    wait_for(lambda: found() >= expected | {len(pairs) - 1}, "causes silence what they explain")
    return found() - {len(pairs) - 1}


def test_what_all_servers_suffer_silences_what_it_brings_about_and_nothing_else(
    notifier: str,
) -> None:
    """For every pair of alerts about the whole of MLflow, one silences the other if it explains it.

    What can only be said of one server explains nothing of the whole.
    """
    pairs = list(permutations(_ALERTS, 2))
    expected = {
        number
        for number, (source, target) in enumerate(pairs)
        if target in _SILENCES.get(source, ())
        or (source == "MLflowServerDown" and target in _SILENCES_THERE[source] & _OF_A_SERVER)
    }
    alerts = [(_alert(one, "whole"), _alert(other, "whole")) for one, other in pairs]
    assert _silenced(notifier, alerts, expected) == expected


def test_what_one_server_suffers_silences_only_what_it_says_itself(notifier: str) -> None:
    """A dead, drained or failing replica hides neither another one's faults nor MLflow's."""
    about_one = sorted(_OF_A_SERVER | _OF_A_SERVER_OR_ALL)
    here = list(permutations(about_one, 2))
    expected = {
        number
        for number, (source, target) in enumerate(here)
        if target in _SILENCES_THERE.get(source, ())
    }
    alerts = [
        (_alert(one, "here", instance="a:5000"), _alert(other, "here", instance="a:5000"))
        for one, other in here
    ]
    assert _silenced(notifier, alerts, expected) == expected
    elsewhere = [
        (_alert(one, "elsewhere", instance="b:5000"), _alert(other, "elsewhere"))
        for one in about_one
        for other in sorted(_ALERTS.keys() - {one})
    ]
    assert _silenced(notifier, elsewhere, set()) == set()


def test_what_all_servers_suffer_is_not_said_of_each(notifier: str) -> None:
    """An alert about all servers together silences the same one about each of them."""
    pairs = [(_alert(name, "each"), _alert(name, "each", instance="a:5000"))
             for name in sorted(_OF_A_SERVER_OR_ALL)]  # fmt: skip
    _post(notifier, [alert for pair in pairs for alert in pair])

    def silenced() -> set[tuple[str, str]]:
        return {
            (alert["labels"]["alertname"], alert["labels"].get("instance", ""))
            for alert in httpx.get(notifier, timeout=30).json()
            if alert["labels"]["environment"] == "each" and alert["status"]["inhibitedBy"]
        }

    expected = {(name, "a:5000") for name in _OF_A_SERVER_OR_ALL}
    # Time-outs silence what they explain as well.
    expected |= {(name, "") for name in _SERVER}
    wait_for(lambda: silenced() >= expected, "what is said of each server is silenced")
    assert silenced() == expected


@pytest.mark.parametrize("label", ["environment", "cluster", "namespace"])
def test_what_is_another_system_is_kept_apart(notifier: str, label: str) -> None:
    """No alert silences one of another environment, cluster or namespace."""
    pairs = [
        (_alert(source, f"apart-{label}"), _alert(target, f"apart-{label}"))
        for source, targets in sorted(_SILENCES.items())
        for target in sorted(targets)
    ]
    for source, target in pairs:
        source["labels"][label] = source["labels"].get(label, "") + "one"
        target["labels"][label] = target["labels"].get(label, "") + "other"
    assert _silenced(notifier, pairs, set()) == set()


def test_collectors_are_kept_apart(notifier: str) -> None:
    """That MLflow is down explains why the collectors that ask it fail, and no others."""
    names = sorted(COLLECTORS)
    pairs = [
        (_alert("MLflowDown", name), _alert("FlowgaugeCollectorFailing", name, collector=name))
        for name in names
    ]
    ask_mlflow = {names.index(name) for name in ("gateway", "runs", "tracking")}
    assert _silenced(notifier, pairs, ask_mlflow) == ask_mlflow


@pytest.mark.parametrize("source", ["MLflowDown", "MLflowApiFailing", _TIMEOUTS])
def test_refusals_are_kept_apart(notifier: str, source: str) -> None:
    """No connection, or no database, explains why requests are refused with 400, and no other."""
    statuses = ["400", "401", "403", "429"]
    pairs = [
        (_alert(source, source), _alert("MLflowRequestsRefused", source, status=status))
        for status in statuses
    ]
    assert _silenced(notifier, pairs, {0}) == {0}


def test_only_the_cause_is_delivered(folder: Path, received: "Queue[tuple[str, str]]") -> None:
    """With MLflow down the pager hears of that alone, while other trouble comes through."""
    with alertmanager(folder, _with_webhooks(folder, received)) as address:
        notifier = f"http://{address}/api/v2/alerts"
        _post(notifier, [_alert("MLflowDown", "prod")])
        assert received.get(timeout=180) == ("/page", "MLflowDown")

        explained = sorted(_SILENCES["MLflowDown"])
        control = "FlowgaugeDagsOverLimit"
        _post(notifier, [_alert(name, "prod") for name in (*explained, control)])
        assert received.get(timeout=180) == ("/ticket", control)
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


@pytest.mark.parametrize("alert", ["MLflowServerAbsent", "FlowgaugeExporterAbsent"])
def test_what_was_taken_down_on_purpose_is_silenced(notifier: str, alert: str) -> None:
    """The runbook's command, as it stands, silences an environment, and no other."""
    page = asset("runbooks") / f"{alert}.md"
    (command,) = [one.text for one in blocks(page, language="bash") if "amtool" in one.text]
    gone = f"gone-{uuid4().hex}"
    written = command.replace("http://alertmanager:9093", notifier.removesuffix("/api/v2/alerts"))
    written = written.replace("environment=dev", f"environment={gone}")
    subprocess.run(["bash", "-euc", written], check=True, capture_output=True)
    _post(notifier, [_alert(alert, gone), _alert(alert, f"not-{gone}")])

    def states() -> dict[str, str]:
        answer = httpx.get(notifier, params={"filter": f"alertname={alert}"}, timeout=30).json()
        return {one["labels"]["environment"]: one["status"]["state"] for one in answer}

    wait_for(lambda: states().get(gone) == "suppressed", "it is silenced")
    wait_for(lambda: states().get(f"not-{gone}") == "active", "the other is told")


def test_what_had_no_environment_is_silenced(notifier: str) -> None:
    """The documented command silences what targets were called before, and nothing else."""
    page = asset("alerts").parent / "docs" / "operate.md"
    (command,) = [
        block.text for block in blocks(page, language="bash") if "environment=\n" in block.text
    ]
    written = command.replace("http://alertmanager:9093", notifier.removesuffix("/api/v2/alerts"))
    subprocess.run(["bash", "-euc", written], check=True, capture_output=True)
    labelled = f"labelled-{uuid4().hex}"
    before, after = _alert("MLflowServerAbsent", ""), _alert("MLflowServerAbsent", labelled)
    del before["labels"]["environment"]
    _post(notifier, [before, after])

    def states() -> dict[str, str]:
        filters = {"filter": "alertname=MLflowServerAbsent"}
        answer = httpx.get(notifier, params=filters, timeout=30).json()
        return {one["labels"].get("environment", ""): one["status"]["state"] for one in answer}

    wait_for(lambda: states().get("") == "suppressed", "it is silenced")
    wait_for(lambda: states().get(labelled) == "active", "the other is told")
