"""What is rendered: every part of it accepted by the program that will read it."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from flowgauge.airflow.rate_limiter import RateLimit
from flowgauge.assets import asset
from flowgauge.environment import Environment
from flowgauge.environment.model import AlertOverride
from flowgauge.errors import UsageError
from flowgauge.render import render
from flowgauge.rules import promql
from flowgauge.rules.files import RuleFile
from flowgauge.rules.overrides import apply_overrides
from stack.process import python_tool

_Rendered = Callable[[str], Path]
_MINIMAL = "domains: {mlflow: mlflow.example.com}\n"
_OWN = "domains: {mlflow: mlflow.internal}\n"
_EXAMPLES = sorted((Path(__file__).parents[2] / "environments").glob("*.yaml"))


def _read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def _rules(folder: Path) -> dict[str, dict[str, Any]]:
    """Every alert by name."""
    files = [_read(path) for path in sorted(folder.glob("*.yaml"))]
    rules = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def _of_test(targets: list[str]) -> list[dict[str, Any]]:
    """Return the static configuration of *targets* in the environment `test`."""
    return [{"targets": targets, "labels": {"environment": "test"}}]


def _everybodys(rules: str) -> str:
    """Return the text of *rules* of the environment `test`, as they are for all environments."""
    return re.sub(r'environment="test"(, )?', "", rules).replace("{}", "")


@pytest.mark.parametrize("file", _EXAMPLES, ids=lambda file: file.stem)
def test_every_example_renders(
    file: Path, rendered: _Rendered, accepts: Callable[..., str]
) -> None:
    """Promtool and amtool accept what the repository's environments render to."""
    out = rendered(file.read_text())
    accepts("promtool", "check", "config", out / "prometheus" / "prometheus.yml")
    accepts("promtool", "check", "rules", *sorted((out / "prometheus" / "rules").iterdir()))
    accepts("amtool", "check-config", out / "alertmanager" / "alertmanager.yml")


def test_an_environment_with_every_section_is_accepted(
    full: Path, accepts: Callable[..., str]
) -> None:
    """Receivers of every kind, logins, remote write and overrides give valid configuration."""
    config = full / "prometheus" / "prometheus.yml"
    # The files with the secrets are not on this machine.
    accepts("promtool", "check", "config", "--syntax-only", config)
    accepts("promtool", "check", "rules", *sorted((full / "prometheus" / "rules").iterdir()))
    accepts("amtool", "check-config", full / "alertmanager" / "alertmanager.yml")


def test_the_same_input_gives_the_same_bytes() -> None:
    """Rendering twice, in any process, gives the same texts in the same order."""
    program = (
        "import json; from flowgauge.environment import load_environment as load;"
        "from flowgauge.render import render; print(json.dumps(render('prod', load('prod'))))"
    )
    python = python_tool("python")
    outputs = {
        subprocess.run(
            [python, "-c", program],
            env={"PYTHONHASHSEED": seed, "FLOWGAUGE_ENVIRONMENTS": str(_EXAMPLES[0].parent)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_the_rules_of_the_default_environment_are_those_that_are_tested(
    rendered: _Rendered,
) -> None:
    """Left to themselves, rendered rules are the repository's, of which each has a unit test."""
    out = rendered(_MINIMAL) / "prometheus" / "rules"
    tested = {file.name: _groups(file.read_text()) for file in asset("alerts").glob("*.yaml")}
    assert tested == {
        file.name: _groups(
            _everybodys(file.read_text()).replace("    labels:\n      environment: test\n", "")
        )
        for file in out.iterdir()
    }


def _groups(text: str) -> list[dict[str, Any]]:
    """Return the rules of a file, each expression written in one way."""
    groups: list[dict[str, Any]] = yaml.safe_load(text)["groups"]
    for group in groups:
        for rule in group["rules"]:
            rule["expr"] = str(promql.parse(rule["expr"]))
    return groups


def test_two_environments_in_one_prometheus_keep_apart(
    accepts: Callable[..., str], folder: Path
) -> None:
    """Each rendering's rules read their own environment alone, by their own numbers."""
    for name, alerts in {"prod": {"MLflowDown": {"for": "5m"}}, "dev": {}}.items():
        environment = Environment.model_validate({"domains": {"mlflow": "h"}, "alerts": alerts})
        for path, text in render(name, environment).items():
            if path.startswith("prometheus/rules/"):
                (folder / f"{name}-{Path(path).name}").write_text(text)
    (folder / "test.yaml").write_text(_TWO_ENVIRONMENTS)
    accepts("promtool", "check", "rules", *sorted(folder.glob("*-*.yaml")))
    accepts("promtool", "test", "rules", folder / "test.yaml")


# MLflow is down in both, and longer than `for` in one; nobody has an exporter.
_TWO_ENVIRONMENTS = """\
rule_files: [prod-server.yaml, prod-slo.yaml, prod-exporter.yaml, prod-watchdog.yaml,
             dev-server.yaml, dev-slo.yaml, dev-exporter.yaml, dev-watchdog.yaml]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - series: up{environment="prod", job="mlflow", instance="a:5000"}
        values: 0x60
      - series: up{environment="dev", job="mlflow", instance="a:5000"}
        values: 0x60
      - series: up{job="flowgauge", instance="of-a-third:9877"}
        values: 1x60
    promql_expr_test:
      - expr: count by (__name__, environment) ({__name__=~"slo:.+|flowgauge:.+|job:.+:absent"})
        eval_time: 4m
        exp_samples:
          - {labels: 'slo:mlflow_error_budget:ratio{environment="prod"}', value: 1}
          - {labels: 'slo:mlflow_error_budget:ratio{environment="dev"}', value: 1}
          - {labels: 'slo:mlflow_slo_requests:least_rate{environment="prod"}', value: 1}
          - {labels: 'slo:mlflow_slo_requests:least_rate{environment="dev"}', value: 1}
          - {labels: 'flowgauge:watchdog:always{environment="prod"}', value: 1}
          - {labels: 'flowgauge:watchdog:always{environment="dev"}', value: 1}
          - {labels: 'job:flowgauge_exporter:absent{environment="prod"}', value: 1}
          - {labels: 'job:flowgauge_exporter:absent{environment="dev"}', value: 1}
      - expr: count by (environment) (ALERTS{alertname="MLflowDown", alertstate="firing"})
        eval_time: 4m
        exp_samples:
          - {labels: '{environment="dev"}', value: 1}
"""


@pytest.mark.parametrize("target", ["0x240", "_x240"], ids=["refused", "none"])
def test_beside_a_managed_mlflow_that_nobody_scrapes_the_servers_is_no_fault(
    accepts: Callable[..., str], rendered: _Rendered, managed: str, target: str
) -> None:
    """With the documentation's example nothing fires until the exporter gets no answer."""
    test = rendered(managed) / "prometheus" / "test.yaml"
    test.write_text(_MANAGED.replace("TARGET", target))
    accepts("promtool", "test", "rules", test)


# It answers for an hour and a half, and then no more.
_MANAGED = """\
rule_files: [rules/*.yaml]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - series: up{environment="test", job="mlflow", instance="mlflow.example.com:443"}
        values: TARGET
      - series: up{environment="test", job="flowgauge", instance="exporter:9877"}
        values: 1x240
      - series: up{environment="test", job="flowgauge-relay", instance="relay:9878"}
        values: 1x240
      - series: mlflow_up{environment="test", job="flowgauge", instance="exporter:9877"}
        values: 1x180 0x60
    promql_expr_test:
      - expr: ALERTS{severity!="none"}
        eval_time: 90m
        exp_samples: []
      - expr: count by (alertname) (ALERTS{severity!="none", alertstate="firing"})
        eval_time: 2h
        exp_samples:
          - {labels: '{alertname="MLflowApiFailing"}', value: 1}
"""


def test_the_objective_is_the_environments_own(accepts: Callable[..., str], folder: Path) -> None:
    """Alerts, their texts, and the traffic below which nothing is said follow the objective."""
    given = {
        "domains": {"mlflow": "h"},
        "objective": 99.9,
        # the same number as the objective of others, but not it
        "alerts": {"MLflowHighLatency": {"threshold": 99.5}},
    }
    for path, text in render("test", Environment.model_validate(given)).items():
        if path.startswith("prometheus/rules/"):
            (folder / Path(path).name).write_text(text)
    assert _rules(folder)["MLflowHighLatency"]["expr"].endswith("> 99.5")
    (folder / "test.yaml").write_text(_STRICTER)
    accepts("promtool", "test", "rules", folder / "test.yaml")


# Of one job a 66th of the requests fail; of the other all, of which there is one in 12 s.
_STRICTER = """\
rule_files: [server.yaml, slo.yaml]
evaluation_interval: 30s
tests:
  - interval: 1m
    input_series:
      - series: mlflow_http_requests_total{environment="test", job="busy", status="200"}
        values: 0+5910x20
      - series: mlflow_http_requests_total{environment="test", job="busy", status="500"}
        values: 0+90x20
      - series: mlflow_http_requests_total{environment="test", job="quiet", status="500"}
        values: 0+5x20
    alert_rule_test:
      - alertname: MLflowErrorBudgetBurn1h
        eval_time: 10m
        exp_alerts:
          - exp_labels: {severity: critical, environment: test, job: busy}
            exp_annotations:
              summary: MLflow is spending its error budget; at this rate 30 days' worth lasts less than 2 days.
              description: Over the last 1h and the last 5m, requests failed at 15 times the rate that the objective of 99.9 % allows.
              runbook_url: https://github.com/flowgauge/flowgauge/blob/main/runbooks/MLflowErrorBudgetBurn1h.md
              dashboard_url: https://grafana.example.com/d/flowgauge-alerts?var-job=busy&var-environment=test
"""  # noqa: E501 - as promtool compares them


def test_an_override_changes_what_it_names_and_nothing_else(full: Path) -> None:
    """Threshold, `for` and severity of the named alerts differ from the packaged ones."""
    before, after = _rules(asset("alerts")), _rules(full / "prometheus" / "rules")
    latency, saturated = after["MLflowHighLatency"], after["MLflowRateLimitSaturated"]
    assert _everybodys(latency["expr"]) == before["MLflowHighLatency"]["expr"].replace(
        "> 2", "> 2.5"
    )
    assert (latency["for"], latency["labels"]["severity"]) == ("15m", "critical")
    assert saturated["expr"].endswith("> 1000")
    overridden = {"MLflowHighLatency", "MLflowRateLimitSaturated", "FlowgaugeRelayDown"}
    compared = ("for", "keep_firing_for", "labels")
    for name in before.keys() - overridden:
        assert _everybodys(after[name]["expr"]) == before[name]["expr"]
        assert [before[name].get(key) for key in compared] == [
            after[name].get(key) for key in compared
        ]


@pytest.mark.parametrize(
    ("alert", "uid", "panel", "unit"),
    [
        ("MLflowHighErrorRate", "flowgauge-server", "Error ratio", 1),
        ("MLflowHighLatency", "flowgauge-server", "Latency, p95", 1),
        ("MLflowHighLatency", "flowgauge-server", "Latency", 1),
        ("MLflowHighLatency", "flowgauge-server", "Routes", 1),
        ("MLflowPostgresConnectionPoolExhausted", "flowgauge-server", "Pool use by worker", 1),
        ("MLflowDagRequestsFailing", "flowgauge-dags", "Failing requests by DAG", 1),
        ("MLflowRateLimitSaturated", "flowgauge-rate-limit", "Hits in 5 min", 1),
        ("MLflowOutboxBacklog", "flowgauge-rate-limit", "Oldest payload", 1),
        ("MLflowErrorBudgetBurn1h", "flowgauge-alerts", "Burn over 5m and 1h", 1),
        ("MLflowCertificateExpiring", "flowgauge-alerts", "MLflow's certificate", 24 * 3600),
        ("MLflowOutboxBacklog", "flowgauge-rate-limit", "Age of the oldest payload", 60),
    ],
)
def test_lines_and_texts_follow_a_threshold(alert: str, uid: str, panel: str, unit: int) -> None:
    """Where an environment changes an alert's number, dashboards draw it, and the alert says so."""
    values = {"domains": {"mlflow": "h"}, "alerts": {alert: {"threshold": 0.123}}}
    before, after = (
        render("test", Environment.model_validate(one))
        for one in ({"domains": {"mlflow": "h"}}, values)
    )
    board = f"grafana/dashboards/{uid}.json"
    drawn = [one for one in json.loads(after[board])["panels"] if one["title"] == panel]
    line = f'"value": {json.dumps(0.123 / unit)}'
    assert any(line in json.dumps(one) for one in drawn)
    assert line not in before[board]
    rules = "".join(text for path, text in after.items() if path.startswith("prometheus/rules"))
    assert rules.count("(Here the limit is 0.123, not ") == 1


def test_no_label_that_alerts_have_is_written_over() -> None:
    """Nothing makes one of two alerts, or has inhibition take one system for another."""
    rules = "".join(path.read_text() for path in asset("alerts").glob("*.yaml"))
    kept = {one for found in re.findall(r"\bby \((.*?)\)", rules) for one in found.split(", ")}
    # Of a histogram and of a task no alert tells.
    for label in kept - {"le", "task_id"}:
        override = {"MLflowDown": {"labels": {label: "x"}}}
        with pytest.raises(ValidationError, match="by which alerts are told apart"):
            Environment.model_validate({"domains": {"mlflow": "h"}, "alerts": override})


def test_an_alert_is_switched_off_or_given_labels(rendered: Callable[[str], Path]) -> None:
    """`enabled: false` takes the alert out; labels are added to those it has."""
    alerts = "MLflowServerDown: {enabled: false}, MLflowHighLatency: {labels: {team: data}}"
    before = _rules(asset("alerts"))
    after = _rules(rendered(f"{_OWN}alerts: {{{alerts}}}\n") / "prometheus" / "rules")

    assert before.keys() - after.keys() == {"MLflowServerDown"}
    labels = before["MLflowHighLatency"]["labels"]
    assert after["MLflowHighLatency"]["labels"] == {**labels, "team": "data"}


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("a:b:c == 0", "the alert asks whether something is so (a:b:c == 0), not how much it is"),
        ("a:b:c > (5)", "the alert compares nothing with a number (a:b:c > (5))"),
        ("absent(a)", "the alert compares nothing with a number (absent(a))"),
    ],
)
def test_a_threshold_where_there_is_none_is_one_sentence(expression: str, sentence: str) -> None:
    """An alert that is so or not has no threshold: a number would make it one that never fires."""
    with pytest.raises(UsageError) as error:
        _with_threshold(expression, 7)

    assert f"alerts.A.threshold: {sentence}" in str(error.value)


@pytest.mark.parametrize("number", ["5", "5  # five", "0x10", "5e0", "+5", "Inf"])
def test_a_threshold_is_replaced_however_it_is_written(number: str) -> None:
    """Comments and other spellings of the number do not survive the override."""
    assert _with_threshold(f"a:b:c >= {number}", 7.5) == "a:b:c >= 7.5"


def _with_threshold(expression: str, threshold: float) -> str:
    rule = {"alert": "A", "expr": expression}
    file = RuleFile.model_validate({"groups": [{"name": "a", "rules": [rule]}]})
    (changed,) = apply_overrides(file, {"A": AlertOverride(threshold=threshold)}).rules
    return changed.expr


def test_an_override_of_no_alert_is_one_sentence(folder: Path) -> None:
    """Every alert that does not exist is named with those that are spelt nearly so."""
    overrides = {"MLflowHighLatancy": {"threshold": 3}, "ServerDown": {"for": "1m"}}
    environment = Environment.model_validate({"domains": {"mlflow": "h"}, "alerts": overrides})
    with pytest.raises(UsageError) as error:
        render("test", environment)
    sentence = str(error.value)
    assert "alerts.MLflowHighLatancy is not an alert, did you mean MLflowHighLatency" in sentence
    assert re.search(r"alerts\.ServerDown is not an alert.*MLflowServerDown", sentence)


def test_links_lead_to_the_environments_own_addresses(full: Path) -> None:
    """With `urls` no alert and no dashboard links to a placeholder."""
    for rule in _rules(full / "prometheus" / "rules").values():
        runbook = f"https://wiki.corp.example/runbooks/{rule['alert']}.md"
        assert rule["annotations"]["runbook_url"] == runbook
        assert rule["annotations"]["dashboard_url"].startswith("https://grafana.corp.example/g/d/")
    for board in (full / "grafana" / "dashboards").glob("*.json"):
        assert "github.com/flowgauge" not in board.read_text()
        assert "https://wiki.corp.example/runbooks" in board.read_text()


def test_prometheus_scrapes_what_the_environment_says(full: Path, rendered: _Rendered) -> None:
    """The domain, or the listed instances, become targets; the path prefix and the scheme stay."""
    config = _read(full / "prometheus" / "prometheus.yml")
    mlflow, exporter, relay = config["scrape_configs"]
    assert mlflow["static_configs"] == _of_test(["mlflow-0:5000", "mlflow-1:5000"])
    assert (mlflow["scheme"], mlflow["metrics_path"]) == ("https", "/ml/metrics")
    assert mlflow["basic_auth"]["password_file"] == "/run/secrets/mlflow"
    assert exporter["static_configs"] == _of_test(["exporter-a:9877", "exporter-b:9877"])
    assert relay["static_configs"] == _of_test(["relay:9878"])
    assert config["global"]["external_labels"] == {"environment": "test"}
    assert config["remote_write"][0]["url"] == "https://mimir.example.com/api/v1/push"

    minimal = _read(rendered(_MINIMAL) / "prometheus" / "prometheus.yml")
    mlflow, exporter, relay = minimal["scrape_configs"]
    assert mlflow["static_configs"] == _of_test(["mlflow.example.com:443"])
    assert mlflow["job_name"] == "mlflow"
    assert exporter["static_configs"] == _of_test(["exporter:9877"])
    assert exporter["job_name"] == "flowgauge"
    assert relay["static_configs"] == _of_test(["relay:9878"])
    assert relay["job_name"] == "flowgauge-relay"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://[fd00::1]:5000/ml", "[fd00::1]:5000"),
        ("https://[fd00::1]", "[fd00::1]:443"),
        ("10.0.0.7", "10.0.0.7:443"),
    ],
)
def test_prometheus_is_given_an_address_of_any_kind(
    rendered: _Rendered, url: str, target: str
) -> None:
    """An IPv6 address keeps its brackets: without, its port cannot be told from it."""
    config = _read(rendered(f"domains: {{mlflow: '{url}'}}") / "prometheus" / "prometheus.yml")
    assert config["scrape_configs"][0]["static_configs"] == _of_test([target])


def test_prometheus_sends_a_token_where_one_is_asked_for(
    rendered: _Rendered, accepts: Callable[..., str]
) -> None:
    """A scrape logs in with the token of a file, on hosts, and of a Secret, in Kubernetes."""
    out = rendered(
        "domains: {mlflow: h}\nprometheus: {mlflow: {credentials_file: /run/token}}\n"
        "kubernetes: {mlflow: {token_secret: mlflow-metrics}}\n"
    )
    config = out / "prometheus" / "prometheus.yml"
    assert _read(config)["scrape_configs"][0]["authorization"] == {"credentials_file": "/run/token"}
    accepts("promtool", "check", "config", "--syntax-only", config)
    [endpoint] = _read(out / "kubernetes" / "monitors" / "mlflow.yaml")["spec"]["endpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "mlflow-metrics", "key": "token"}}


def test_an_mlflow_that_is_no_server_cannot_be_rendered() -> None:
    """A tracking URI that Prometheus cannot scrape is refused in one sentence."""
    environment = Environment.model_validate({"domains": {"mlflow": "sqlite:///mlflow.db"}})
    with pytest.raises(UsageError, match=r"domains\.mlflow is sqlite:.*only scrape http and https"):
        render("test", environment)


@pytest.mark.parametrize("rest", ["?a=b", "/ml#/experiments"])
def test_an_address_copied_from_the_browser_cannot_be_rendered(rest: str) -> None:
    """What follows the path is refused: no task or exporter could use it as a tracking URI."""
    environment = Environment.model_validate({"domains": {"mlflow": f"https://mlflow{rest}"}})
    with pytest.raises(UsageError, match=r"domains\.mlflow is .*leave out what follows the path"):
        render("test", environment)


def test_grafana_finds_dashboards_and_data_source(full: Path) -> None:
    """Provisioning names the folder the dashboards are mounted in, and Prometheus."""
    provider = _read(full / "grafana/provisioning/dashboards/flowgauge.yaml")["providers"][0]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    source = _read(full / "grafana/provisioning/datasources/flowgauge.yaml")["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == "30s"
    boards = [json.loads(path.read_text()) for path in (full / "grafana/dashboards").iterdir()]
    assert {board["uid"] for board in boards} >= {"flowgauge-server", "flowgauge-dags"}


def test_workers_are_told_where_things_are_and_what_is_limited(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as Docker and systemd do, or by Kubernetes, the limits are those of the file."""
    lines = (full / "airflow" / "flowgauge.env").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines)
    assert set(told) == {"MLFLOW_TRACKING_URI", "FLOWGAUGE_STORE", "FLOWGAUGE_RATE_LIMITS"}
    assert _read(full / "airflow" / "configmap.yaml")["data"] == told
    [exporter] = [
        each["literals"]
        for each in _read(full / "kustomization.yaml")["configMapGenerator"]
        if each["name"] == "flowgauge-exporter"
    ]
    assert exporter == lines
    monkeypatch.setenv("FLOWGAUGE_RATE_LIMITS", told["FLOWGAUGE_RATE_LIMITS"])
    limit = RateLimit("mlflow_api", 1, 1).as_configured()
    assert (limit.max_calls, limit.window_seconds) == (40, 60)


def test_the_command_writes_diffs_and_refuses(folder: Path) -> None:
    """`flowgauge render` writes; `--diff` exits 0, or 1 with the diff; a wrong file exits 2."""
    environments = folder / "environments"
    environments.mkdir()
    file = environments / "prod.yaml"
    file.write_text(_OWN)

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [python_tool("flowgauge"), "render", "--env", "prod", *options]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    assert run().returncode == 0
    assert (folder / "build/prod/prometheus/prometheus.yml").is_file()
    assert run().stderr == (
        "environments/prod.yaml: NOBODY IS TOLD of critical alerts: receivers.page is empty\n"
        "environments/prod.yaml: NOBODY IS TOLD of warnings: receivers.ticket is empty\n"
    )
    same = run("--diff")
    assert (same.returncode, same.stdout) == (0, "")

    limits = "rate_limits: {mlflow_api: {max_calls: 41}}\n"
    file.write_text(f"{_OWN}alerts: {{MLflowHighLatency: {{for: 20m}}}}\n{limits}")
    changed = run("--diff")
    assert changed.returncode == 1
    assert "-    for: 10m\n+    for: 20m\n" in changed.stdout
    assert re.search(r"^\+.*FLOWGAUGE_RATE_LIMITS.*41", changed.stdout, re.MULTILINE)

    file.write_text(_OWN + "alerts: {Nope: {for: 20m}}\n")
    refused = run()
    assert refused.returncode == 2
    assert refused.stderr.startswith("flowgauge: environments/prod.yaml: alerts.Nope is not an")
    assert run("--out", "build/prod", "--diff").returncode == 2
    assert "for: 10m" in (folder / "build/prod/prometheus/rules/server.yaml").read_text()


def test_no_deployment_but_the_users_is_rendered(folder: Path) -> None:
    """In a folder without environments, and from an untouched example, `render` refuses with 2."""
    command = [python_tool("flowgauge"), "render", "--env", "prod"]

    def refused() -> str:
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout) == (2, "")
        assert not (folder / "build").exists()
        [sentence] = run.stderr.splitlines()
        return sentence

    assert refused().startswith("flowgauge: there is no folder environments, where prod.yaml")
    shutil.copytree(_EXAMPLES[0].parent, folder / "environments")
    assert refused() == (
        "flowgauge: environments/prod.yaml: domains.mlflow, urls.dashboards, image still have an "
        "example's address: write your own, or leave out what you do not need"
    )
