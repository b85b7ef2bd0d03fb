"""A rendered Alertmanager tells the right people, in words they can use."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx

from stack.process import wait_for
from stack.prometheus import alertmanager
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
                _alert("MLflowServerDown", "critical"),
                _alert("MLflowRateLimitSaturated", "warning"),
            ]
            httpx.post(f"http://{address}/api/v2/alerts", json=alerts).raise_for_status()
            wait_for(lambda: len(recipient.deliveries) >= 2, "both notifications arrive")

    [page] = recipient.at("/page")
    assert page.headers["authorization"] == "Bearer s3cret"
    assert [alert["labels"]["alertname"] for alert in page.body["alerts"]] == ["MLflowServerDown"]

    [ticket] = recipient.at("/slack")
    [attachment] = ticket.body["attachments"]
    assert ticket.body["channel"] == "#mlflow"
    assert attachment["title"] == (
        "[FIRING] MLflowRateLimitSaturated (prod): MLflowRateLimitSaturated in short."
    )
    assert attachment["title_link"] == "https://wiki.example.com/MLflowRateLimitSaturated.md"
    assert "MLflowRateLimitSaturated at length. https://wiki.example" in attachment["text"]
    assert "https://grafana.example.com/d/flowgauge-server" in attachment["text"]
