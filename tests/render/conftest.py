"""Environments to render, and the real tools that check what is rendered."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from flowgauge.environment import load_environment
from flowgauge.render import render, replace_folder

# Every section, with everything that can be rendered.
FULL = """\
domains: {mlflow: "https://mlflow.example.com:8443/ml/"}
store: redis://redis:6379/0
urls:
  dashboards: https://grafana.corp.example/g
  runbooks: https://wiki.corp.example/runbooks
alerts:
  MLflowHighLatency: {threshold: 2.5, for: 15m, severity: critical}
  MLflowRateLimitSaturated: {threshold: 1e3}
receivers:
  page:
    pagerduty: {routing_key_file: /run/secrets/pagerduty}
    webhook: {url: "https://hooks.example.com/x", credentials_file: /run/secrets/webhook}
  ticket:
    slack: {channel: "#mlflow", api_url_file: /run/secrets/slack}
    email:
      to: data@example.com
      from: alerts@example.com
      smarthost: smtp.example.com:587
      username: alerts
      password_file: /run/secrets/smtp
prometheus:
  scrape_interval: 30s
  mlflow:
    targets: [mlflow-0:5000, mlflow-1:5000]
    basic_auth: {username: prometheus, password_file: /run/secrets/mlflow}
  exporter: {targets: [exporter-a:9877, exporter-b:9877]}
  alertmanagers: [alertmanager-0:9093, alertmanager-1:9093]
  remote_write: [{url: "https://mimir.example.com/push", credentials_file: /run/secrets/mimir}]
image: registry.example.com:5000/data/flowgauge:1.2.3
kubernetes:
  namespace: data
  replicas: 2
  mlflow: {namespace: ml, selector: {app: mlflow}, port: web, basic_auth_secret: mlflow-login}
  labels: {release: monitoring}
"""


@pytest.fixture
def rendered(folder: Path) -> Callable[[str], Path]:
    """Render the text of an environment file named `test`; gives the folder."""

    def make(text: str) -> Path:
        (folder / "test.yaml").write_text(text)
        replace_folder(folder / "out", render("test", load_environment("test", folder)))
        return folder / "out"

    return make


@pytest.fixture
def full(rendered: Callable[[str], Path]) -> Path:
    """The rendering of an environment that has every section."""
    return rendered(FULL)


@pytest.fixture(scope="session")
def accepts() -> Callable[..., str]:
    """Run a tool that must accept what it is given; gives what it said."""

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
