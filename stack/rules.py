"""Alerting with every duration divided by one factor, so that a fault shows in seconds."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from flowgauge.assets import asset

__all__ = ["scaled_alertmanager", "scaled_rules"]

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")
_RANGE = re.compile(r"(?<=\[)[^\]]+(?=\])|(?<=offset )\s*[\dsmhdwy]+")

# What a rule compares with is left alone, but for what is itself a time that has to pass.
_AGES = {
    "MLflowOutboxBacklog": (600,),
    "dag:mlflow_dag_logging:last30m": (1800,),
    "dag:mlflow_dag_log_pause_seconds:max14d": (604800,),
    "dag:mlflow_dag_late:last30m": (2700, 10800),
}

# The server remembers the worst of a minute, which is no shorter here.
_UNSCALED = {"instance:mlflow_event_loop_lag_seconds:min5m", "MLflowEventLoopBlocked"}


def scaled_rules(folder: Path, faster: int) -> Sequence[Path]:
    """Write the rules to *folder*, each `for`, range and interval *faster* times shorter.

    So are the age of the outbox and the times that DAGs are judged by. All other numbers that a
    rule compares with are left alone, and so are the rules on a blocked event loop. Return the
    files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for source in sorted(asset("alerts").glob("*.yaml")):
        rules = yaml.safe_load(source.read_text())
        for group in rules["groups"]:
            _scale(group, faster)
        file = folder / source.name
        file.write_text(yaml.safe_dump(rules, sort_keys=False))
        files.append(file)
    return files


def scaled_alertmanager(file: Path, faster: int, webhook_url: str) -> Path:
    """Write Alertmanager's configuration to *file*, its pauses *faster* times shorter.

    Its receivers are *webhook_url* and their own name: `/page`, `/ticket`. Return the file.
    """
    configuration = yaml.safe_load((asset("alerts") / "alertmanager.yml").read_text())
    for route in [configuration["route"], *configuration["route"]["routes"]]:
        _scale_keys(route, ("group_wait", "group_interval"), faster)
    # The watchdog always fires: it stays without an address.
    for receiver in configuration["receivers"][:2]:
        url = f"{webhook_url}/{receiver['name']}"
        receiver["webhook_configs"] = [{"url": url, "send_resolved": True}]
    file.write_text(yaml.safe_dump(configuration))
    return file


def _scale(group: dict[str, Any], faster: int) -> None:
    _scale_keys(group, ("interval",), faster)
    for rule in group["rules"]:
        if (rule.get("alert") or rule["record"]) in _UNSCALED:
            continue
        _scale_keys(rule, ("for", "keep_firing_for"), faster)
        rule["expr"] = _RANGE.sub(lambda found: _shorter(found[0], faster), rule["expr"])
        for age in _AGES.get(rule.get("alert") or rule["record"], ()):
            rule["expr"] = rule["expr"].replace(str(age), str(age / faster))


def _scale_keys(mapping: dict[str, Any], keys: Sequence[str], faster: int) -> None:
    for key in keys:
        if key in mapping:
            mapping[key] = _shorter(mapping[key], faster)


def _shorter(text: str, faster: int) -> str:
    """Divide every duration in *text*: `5m` by 10 is `30s`."""

    def divide(found: re.Match[str]) -> str:
        parts = re.findall(r"(\d+)(ms|[smhdwy])", found[0])
        seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
        return f"{round(seconds * 1000 / faster)}ms"

    return _DURATION.sub(divide, text)
