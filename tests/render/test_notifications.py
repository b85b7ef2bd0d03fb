"""A rendered Alertmanager tells the right people, in words they can use."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml
from packaging.version import Version

from stack.process import wait_for
from stack.prometheus import alertmanager, version
from stack.webhook import webhook

_ENVIRONMENT = """\
domains: {{mlflow: mlflow.example.com}}
receivers:
  page: {{webhook: {{url: "{url}/page", credentials_file: "{folder}/token"}}}}
  ticket: {{slack: {{channel: "#mlflow", api_url_file: "{folder}/slack"}}}}
"""


def _alert(name: str, severity: str) -> dict[str, dict[str, str]]:
    return {
        "labels": {"alertname": name, "severity": severity, "environment": "prod"},
        "annotations": {
            "summary": f"{name} in short.",
            "description": f"{name} at length.",
            "runbook_url": f"https://wiki.example.com/{name}.md",
            "dashboard_url": "https://grafana.example.com/d/flowgauge-server",
        },
    }


def test_critical_alerts_page_and_warnings_open_a_ticket(
    rendered: Callable[[str], Path], folder: Path
) -> None:
    """Each receiver gets its severity, with secrets read from their files and links to follow."""
    with webhook() as recipient:
        (folder / "token").write_text("s3cret")
        (folder / "slack").write_text(f"{recipient.url}/slack")
        out = rendered(_ENVIRONMENT.format(url=recipient.url, folder=folder))
        config = out / "alertmanager" / "alertmanager.yml"
        assert "s3cret" not in config.read_text()
        # Half a minute of collecting alerts is for people.
        config.write_text(re.sub(r"group_wait: \d+s", "group_wait: 0s", config.read_text()))
        with alertmanager(folder / "alertmanager", config) as address:
            alerts = [
                _alert("MLflowDown", "critical"),
                _alert("MLflowRateLimitSaturated", "warning"),
            ]
            httpx.post(f"http://{address}/api/v2/alerts", json=alerts).raise_for_status()
            wait_for(lambda: len(recipient.deliveries) >= 2, "both notifications arrive")

    [page] = recipient.at("/page")
    assert page.headers["authorization"] == "Bearer s3cret"
    assert [alert["labels"]["alertname"] for alert in page.body["alerts"]] == ["MLflowDown"]

    [ticket] = recipient.at("/slack")
    [attachment] = ticket.body["attachments"]
    # By 0.33 Alertmanager leaves the channel to Slack's webhook, which has one of its own.
    is_new = Version(version("prometheus-alertmanager").partition("+")[0]) >= Version("0.33")
    assert ticket.body.get("channel") == (None if is_new else "#mlflow")
    assert attachment["title"] == (
        "[FIRING] MLflowRateLimitSaturated (prod): MLflowRateLimitSaturated in short."
    )
    assert attachment["title_link"] == "https://wiki.example.com/MLflowRateLimitSaturated.md"
    assert "MLflowRateLimitSaturated at length. https://wiki.example" in attachment["text"]
    assert "https://grafana.example.com/d/flowgauge-server" in attachment["text"]


_CLUSTERS = """\
route:
  receiver: cluster
  routes:
    - matchers: [alertname="Watchdog"]
      receiver: nobody
    - matchers: [severity="critical"]
      receiver: on-call
receivers: [{name: cluster}, {name: on-call}, {name: nobody}]
inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: [severity="warning"]
    equal: [namespace, alertname]
"""
_PAGE = "  page: {webhook: {url: 'https://pager.internal'}}\n"
_TICKET = "  ticket: {webhook: {url: 'https://tickets.internal'}}\n"


@pytest.mark.parametrize(
    ("receivers", "told"),
    [
        ("receivers:\n" + _PAGE + _TICKET, ("flowgauge-page", "flowgauge-ticket")),
        ("receivers:\n" + _PAGE, ("flowgauge-page", "cluster")),
        ("receivers:\n" + _TICKET, ("flowgauge-ticket", "flowgauge-ticket")),
        ("", ("cluster", "cluster")),
    ],
)
def test_the_fragment_leaves_a_clusters_own_alone(
    rendered: Callable[[str], Path],
    accepts: Callable[..., str],
    folder: Path,
    receivers: str,
    told: tuple[str, str],
) -> None:
    """Added to a running configuration, it routes our alerts, and no alert of anybody else."""
    out = rendered("domains: {mlflow: h}\n" + receivers) / "alertmanager"
    fragment, merged = (
        yaml.safe_load(text) for text in ((out / "fragment.yml").read_text(), _CLUSTERS)
    )
    merged["route"]["routes"][:0] = fragment["route"]["routes"]
    merged["receivers"] += fragment["receivers"]
    merged["inhibit_rules"] += fragment["inhibit_rules"]
    (folder / "merged.yml").write_text(yaml.safe_dump(merged))
    accepts("amtool", "check-config", folder / "merged.yml")

    def receiver(*labels: str) -> str:
        config = f"--config.file={folder / 'merged.yml'}"
        return accepts("amtool", "config", "routes", "test", config, *labels).strip()

    assert (
        receiver("alertname=MLflowDown", "severity=critical"),
        receiver("alertname=MLflowHighLatency", "severity=warning"),
    ) == told
    assert receiver("alertname=FlowgaugeWatchdog", "severity=none") == "flowgauge-watchdog"
    assert receiver("alertname=Watchdog", "severity=none") == "nobody"
    assert receiver("alertname=MLflowBackupFailed", "severity=critical") == "on-call"
    assert receiver("alertname=KubePodCrashLooping", "severity=warning") == "cluster"


def test_the_fragment_silences_our_alerts_alone(rendered: Callable[[str], Path]) -> None:
    """Each inhibition names alerts on both sides, and they are flowgauge's."""
    fragment = yaml.safe_load(
        (rendered("domains: {mlflow: h}") / "alertmanager" / "fragment.yml").read_text()
    )
    for rule in fragment["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            assert re.match(r'alertname=~?"(MLflow|Flowgauge)', rule[side][0])
