"""The commands as a user runs them, and small rule files to run them on."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from flowgauge import assets
from flowgauge.cli.check_rules import check_rules_command
from flowgauge.cli.mutate_rules import mutate_rules_command
from stack.process import python_tool

__all__ = ["Project", "flowgauge"]

GOOD_ANNOTATIONS = {
    "summary": "Too many requests.",
    "description": "{{ $value }} requests a second in the job {{ $labels.job }}.",
    "runbook_url": "https://github.com/flowgauge/flowgauge/blob/main/runbooks/TooMany.md",
    "dashboard_url": "https://grafana.example.com/d/flowgauge-server",
}
GOOD_ALERT: Mapping[str, object] = {
    "alert": "TooMany",
    "expr": "job:requests:rate5m > 5",
    "for": "2m",
    "labels": {"severity": "warning"},
    "annotations": GOOD_ANNOTATIONS,
}
GOOD_RECORD: Mapping[str, object] = {
    "record": "job:requests:rate5m",
    "expr": "sum by (job) (rate(mlflow_http_requests_total[5m]))",
}

# Fires, with the wrong of these two rules: the threshold and `for` are not looked at closely.
WEAK_TESTS = """
rule_files: [../alerts/small.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: mlflow_http_requests_total{job="mlflow"}
        values: 0+6000x20
    alert_rule_test:
      - alertname: TooMany
        eval_time: 0m
      - alertname: TooMany
        eval_time: 20m
        exp_alerts:
          - exp_labels: {severity: warning, job: mlflow}
            exp_annotations:
              summary: Too many requests.
              description: 100 requests a second in the job mlflow.
              runbook_url: https://github.com/flowgauge/flowgauge/blob/main/runbooks/TooMany.md
              dashboard_url: https://grafana.example.com/d/flowgauge-server
"""


@dataclass(frozen=True)
class Project:
    """A folder with one rule file, its tests and its runbooks."""

    folder: Path

    @classmethod
    def make(
        cls,
        folder: Path,
        *,
        record: Mapping[str, object] | None = None,
        alert: Mapping[str, object] | None = None,
        tests: str = WEAK_TESTS,
        as_resource: bool = False,
    ) -> "Project":
        """Write the project; *record* and *alert* change keys of the two rules, None drops one.

        *as_resource* writes the rules as a PrometheusRule among other resources.
        """
        rules = [{**GOOD_RECORD, **(record or {})}, {**GOOD_ALERT, **(alert or {})}]
        kept = [{key: value for key, value in rule.items() if value} for rule in rules]
        content: dict[str, object] = {"groups": [{"name": "small", "rules": kept}]}
        if as_resource:
            group = {"name": "small", "partial_response_strategy": "warn", "rules": kept}
            content = {
                "apiVersion": "v1",
                "kind": "List",
                "items": [
                    {"apiVersion": "v1", "kind": "Service", "spec": {}},
                    {
                        "apiVersion": "monitoring.coreos.com/v1",
                        "kind": "PrometheusRule",
                        "metadata": {"name": "small"},
                        "spec": {"groups": [group]},
                    },
                ],
            }
        for name in ("alerts", "rules_tests", "runbooks"):
            (folder / name).mkdir()
        (folder / "alerts" / "small.yaml").write_text(yaml.safe_dump(content))
        (folder / "rules_tests" / "small_test.yaml").write_text(tests)
        (folder / "runbooks" / "TooMany.md").write_text("# TooMany\n")
        return cls(folder)

    def check(self, *options: str) -> Result:
        """Run `flowgauge check-rules` on it, in this process."""
        return CliRunner().invoke(check_rules_command, [*self._files(), *options])

    def check_as_ours(self, *options: str) -> Result:
        """Run it as if the project were flowgauge's own: our metrics, links and style count."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(assets, "_PACKAGE", self.folder)
            patch.setattr(assets, "_CHECKOUT", self.folder)
            return CliRunner().invoke(check_rules_command, options)

    def mutate(self, *options: str) -> Result:
        """Run `flowgauge mutate-rules` on it, in this process."""
        return CliRunner().invoke(mutate_rules_command, [*self._files(), *options])

    def _files(self) -> tuple[str, ...]:
        return (
            "--rules", str(self.folder / "alerts" / "*.yaml"),
            "--tests", str(self.folder / "rules_tests" / "*_test.yaml"),
        )  # fmt: skip


def flowgauge(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [python_tool("flowgauge"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=env or None,
    )
