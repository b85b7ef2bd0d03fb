from pathlib import Path

import yaml
from click.testing import CliRunner

from flowgauge.assets import asset
from flowgauge.rules.files import Rule, read_rules
from stack.incidents.__main__ import main
from stack.incidents.catalogue import INCIDENTS
from stack.rules import scaled_alertmanager, scaled_rules


def _rules(files: list[str]) -> dict[str, Rule]:
    return {rule.name: rule for source in read_rules(files) for rule in source.file.rules}


def test_incidents_name_alerts_that_exist() -> None:
    """Every alert an incident names is one a rule raises, and none that may come along pages."""
    severities = {
        name: rule.labels["severity"]
        for name, rule in _rules([str(asset("alerts") / "*.yaml")]).items()
        if rule.alert
    }
    for incident in INCIDENTS.values():
        assert incident.alert is None or incident.alert in severities
        assert {severities[name] for name in incident.companions} <= {"warning"}
        assert {name.partition(" in ")[0] for name in incident.before} <= severities.keys()


def test_scaled_rules_keep_their_proportions(folder: Path) -> None:
    """Windows, `for` and ages shrink by the factor; thresholds and severities stay."""
    rules = _rules([str(path) for path in scaled_rules(folder, 30)])
    assert "[30000ms]" in rules["server:mlflow_artifact_uploads:increase15m"].expr
    assert "> 9.5" in rules["server:mlflow_artifact_uploads_failed:ratio_increase15m"].expr
    backlog = rules["MLflowOutboxBacklog"]
    assert (backlog.expr, backlog.for_) == (
        "job:mlflow_outbox_oldest:age_seconds > 20.0",
        "10000ms",
    )
    assert ">= 20160.0" in rules["dag:mlflow_dag_log_pause_seconds:max14d"].expr
    late = rules["dag:mlflow_dag_late:last30m"].expr
    assert "time() - 90.0" in late
    assert "time() - 360.0" in late
    assert backlog.labels == {"severity": "warning"}


def test_scaled_alertmanager_keeps_its_inhibition(folder: Path) -> None:
    """Notifications come sooner, and all the rest of our configuration stays."""
    file = scaled_alertmanager(folder / "alertmanager.yml", 30, "http://127.0.0.1:1")
    scaled = yaml.safe_load(file.read_text())
    ours = yaml.safe_load((asset("alerts") / "alertmanager.yml").read_text())
    assert scaled["inhibit_rules"] == ours["inhibit_rules"]
    assert scaled["route"]["group_interval"] == "10000ms"
    page = scaled["receivers"][0]["webhook_configs"]
    assert page == [{"url": "http://127.0.0.1:1/page", "send_resolved": True}]


def test_an_unknown_incident_is_named() -> None:
    """A name that is no incident is refused in one sentence that lists those there are."""
    result = CliRunner().invoke(main, ["server_klled"])
    assert result.exit_code == 2
    assert (
        "no incident 'server_klled': there are quiet, healthy_burst, pool_drained" in result.output
    )
