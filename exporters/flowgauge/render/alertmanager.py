"""Alertmanager's configuration: ours, with the environment's receivers; whole, and to be added."""

from collections.abc import Collection, Mapping
from typing import Any

import yaml

from flowgauge.assets import asset
from flowgauge.environment.model import Email, Environment, PagerDuty, Receiver, Slack, Webhook
from flowgauge.render.files import Files, to_yaml

__all__ = ["alertmanager_files"]


def alertmanager_files(environment: Environment, alerts: Collection[str]) -> Files:
    """Return the whole `alertmanager.yml`, and the fragment to add to one that serves others, too.

    The fragment's route takes *alerts* alone. https://prometheus.io/docs/alerting/latest/configuration/
    """
    configuration = yaml.safe_load((asset("alerts") / "alertmanager.yml").read_text())
    for receiver in configuration["receivers"]:
        receiver.update(_integrations(environment.receivers.get(receiver["name"], Receiver())))
    return {
        "alertmanager/alertmanager.yml": to_yaml(configuration),
        "alertmanager/fragment.yml": _HOW_TO_ADD + to_yaml(_fragment(configuration, alerts)),
    }


def _fragment(configuration: dict[str, Any], alerts: Collection[str]) -> dict[str, Any]:
    ours = f'alertname=~"{"|".join(sorted(alerts))}"'
    # A receiver without a way to tell anybody would swallow what the cluster's own is told today;
    # but the watchdog always fires, and who does not want to hear of it must not.
    told = [
        receiver
        for receiver in configuration["receivers"]
        if receiver.keys() != {"name"} or receiver["name"] == _WATCHDOG
    ]
    names = {receiver["name"]: f"flowgauge-{receiver['name']}" for receiver in told}
    return {
        "route": {"routes": [{"matchers": [ours], **_renamed(configuration["route"], names)}]},
        "receivers": [{**receiver, "name": names[receiver["name"]]} for receiver in told],
        "inhibit_rules": configuration["inhibit_rules"],
    }


_WATCHDOG = "watchdog"


def _renamed(route: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return *route* with its receivers by their new *names*; one without is the parent's."""
    renamed = {key: value for key, value in route.items() if key != "receiver"}
    if route["receiver"] in names:
        renamed["receiver"] = names[route["receiver"]]
    if "routes" in route:
        renamed["routes"] = [_renamed(inner, names) for inner in route["routes"]]
    return renamed


_HOW_TO_ADD = """\
# For an Alertmanager that serves others, too: add what each of the three lists holds to the same
# list of its configuration, the route at the front, before one that takes all alerts. It takes
# flowgauge's alerts alone, and the inhibitions are about no others. What has no receiver here goes
# to the receiver of the cluster's own route.
"""


def _integrations(receiver: Receiver) -> dict[str, Any]:
    found = {
        "webhook_configs": receiver.webhook and _webhook(receiver.webhook),
        "email_configs": receiver.email and _email(receiver.email),
        "slack_configs": receiver.slack and _slack(receiver.slack),
        "pagerduty_configs": receiver.pagerduty and _pagerduty(receiver.pagerduty),
    }
    return {key: [{"send_resolved": True, **value}] for key, value in found.items() if value}


def _webhook(webhook: Webhook) -> dict[str, Any]:
    login = {"authorization": {"credentials_file": webhook.credentials_file}}
    return {"url": webhook.url, **({"http_config": login} if webhook.credentials_file else {})}


def _email(email: Email) -> dict[str, Any]:
    login = {"auth_username": email.username, "auth_password_file": email.password_file}
    return {
        "to": email.to,
        "from": email.from_,
        "smarthost": email.smarthost,
        **{key: value for key, value in login.items() if value},
    }


def _slack(slack: Slack) -> dict[str, Any]:
    return {
        "api_url_file": slack.api_url_file,
        "channel": slack.channel,
        "title": _TITLE,
        "title_link": "{{ (index .Alerts 0).Annotations.runbook_url }}",
        "text": _TEXT,
    }


def _pagerduty(pagerduty: PagerDuty) -> dict[str, Any]:
    return {
        "routing_key_file": pagerduty.routing_key_file,
        "severity": "{{ .CommonLabels.severity }}",
        "description": _TITLE,
        "links": [
            {"href": "{{ (index .Alerts 0).Annotations.runbook_url }}", "text": "Runbook"},
            {"href": "{{ (index .Alerts 0).Annotations.dashboard_url }}", "text": "Dashboard"},
        ],
    }


_TITLE = (
    "[{{ .Status | toUpper }}] {{ .CommonLabels.alertname }}"
    "{{ if .CommonLabels.environment }} ({{ .CommonLabels.environment }}){{ end }}: "
    "{{ (index .Alerts 0).Annotations.summary }}"
)
# Plain links: what is clickable in Slack is text in a mail, but never wrong.
_TEXT = (
    "{{ range .Alerts }}{{ .Annotations.description }} "
    "{{ .Annotations.runbook_url }} {{ .Annotations.dashboard_url }}\n{{ end }}"
)
