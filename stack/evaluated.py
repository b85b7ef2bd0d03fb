"""Rules over a past that is in Prometheus already: what was recorded, and which alerts fired when.

promtool works out recording rules so, and no alerts. Each alert is made recording rules, of its
expression and of what Prometheus makes of that: `ALERTS` while it fires and `ALERTS_FOR_STATE`.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from flowgauge.rules.durations import parse_duration
from stack.process import StackError

__all__ = ["evaluate"]

_INTERVAL = 30
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

_Rule = Mapping[str, Any]


def evaluate(
    files: Sequence[Path],
    tsdb: Path,
    span: tuple[float, float],
    serve: Callable[[], AbstractContextManager[str]],
) -> None:
    """Add to *tsdb* what the rules of *files* make of it in *span*, of Unix times.

    *serve* runs a Prometheus on it, and yields its address.
    """
    rules = [rule for file in files for rule in _recording_rules(file)]
    while rules:
        awaited = {rule["record"] for rule in rules}
        now = [rule for rule in rules if not awaited & _reads(rule) - {rule["record"]}]
        if not now:
            raise StackError(f"rules read each other in a ring: {', '.join(sorted(awaited))}")
        rules = [rule for rule in rules if rule not in now]
        with serve() as url:
            _record(now, tsdb, span, url)
        # One that goes on from its own values has had none so far.
        again = [rule for rule in now if rule["record"] in _reads(rule)]
        if again:
            with serve() as url:
                _record(again, tsdb, span, url)


def _reads(rule: _Rule) -> set[str]:
    return set(_NAME.findall(rule["expr"]))


def _recording_rules(file: Path) -> Iterator[_Rule]:
    for group in yaml.safe_load(file.read_text())["groups"]:
        for rule in group["rules"]:
            if "record" in rule:
                yield rule
            else:
                yield from _of_alert(rule)


def _of_alert(rule: _Rule) -> Iterator[_Rule]:
    active = f"history:{rule['alert']}"
    began = f"{active}:began"
    labels = {**rule["labels"], "alertname": rule["alert"]}
    yield {"record": active, "expr": rule["expr"], "labels": labels}
    # The number of evaluations in a row, the first included.
    waits = _seconds(rule.get("for", "0s"))
    window = f"{waits + _INTERVAL // 2}s"
    fires = f"count_over_time({active}[{window}]) > {waits // _INTERVAL}"
    if keeps := _seconds(rule.get("keep_firing_for", "0s")):
        fires = f"max_over_time(({fires})[{keeps}s:{_INTERVAL}s])"
    # To the power of 0 each number is 1.
    yield {"record": "ALERTS", "expr": f"({fires}) ^ 0", "labels": {"alertstate": "firing"}}
    yield {
        "record": began,
        "expr": f"timestamp({active} unless {active} offset {_INTERVAL}s)",
    }
    yield {"record": "ALERTS_FOR_STATE", "expr": f"last_over_time({began}[1d]) and {active}"}


def _seconds(duration: str) -> int:
    return int(parse_duration(duration).total_seconds())


def _record(rules: Sequence[_Rule], tsdb: Path, span: tuple[float, float], url: str) -> None:
    file, fresh = tsdb.with_name("layer.yaml"), tsdb.with_name("recorded")
    file.write_text(yaml.safe_dump({"groups": [{"name": "layer", "rules": list(rules)}]}))
    command = [
        "promtool", "tsdb", "create-blocks-from", "rules", f"--url={url}",
        f"--start={span[0]:.0f}", f"--end={span[1]:.0f}", f"--eval-interval={_INTERVAL}s",
        f"--output-dir={fresh}", str(file),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    for block in fresh.iterdir():
        shutil.move(block, tsdb / block.name)
