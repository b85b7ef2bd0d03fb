"""Rules over a past that is in Prometheus already: what was recorded, and which alerts fired when.

promtool works out recording rules so, but no alerts, and none that reads another. So a Prometheus
is asked what each expression was all the time, layer by layer, and given the answers. Each alert is
made recording rules, of its expression and of what Prometheus makes of that: `ALERTS` while it
fires and `ALERTS_FOR_STATE`.
"""

import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TextIO

import httpx
import yaml

from flowgauge.rules.durations import parse_duration
from stack.process import StackError

__all__ = ["INTERVAL", "evaluate", "make_blocks"]

INTERVAL = 30
"""Seconds between two evaluations, and between two scrapes."""

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

_Rule = Mapping[str, Any]
_Serve = Callable[[], AbstractContextManager[str]]


def evaluate(
    files: Sequence[Path], scraped: Path, tsdb: Path, span: tuple[float, float], serve: _Serve
) -> None:
    """Make *tsdb* of the blocks in *scraped* and of what the rules of *files* make of them.

    They are evaluated all through *span*, of Unix times. *serve* runs a Prometheus on *tsdb*, and
    yields its address.
    """
    answers = tsdb.with_name("answers.txt")
    rules = [rule for file in files for rule in _recording_rules(file)]
    with answers.open("w+") as known:
        _lay(scraped, known, tsdb)
        while rules:
            awaited = {rule["record"] for rule in rules}
            now = [rule for rule in rules if not awaited & _reads(rule) - {rule["record"]}]
            if not now:
                raise StackError(f"rules read each other in a ring: {', '.join(sorted(awaited))}")
            rules = [rule for rule in rules if rule not in now]
            with serve() as url:
                _ask(url, [rule for rule in now if not _goes_on(rule)], span, known)
                begin = known.tell()
                _ask(url, filter(_goes_on, now), span, known)
            _lay(scraped, known, tsdb)
            if any(map(_goes_on, now)):
                # They have had no values of their own so far.
                with serve() as url:
                    known.seek(begin)
                    known.truncate()
                    _ask(url, filter(_goes_on, now), span, known)
                _lay(scraped, known, tsdb)


def make_blocks(samples: Path, tsdb: Path) -> None:
    """Write *samples*, a file of OpenMetrics, into the folder *tsdb*, each block some days long."""
    command = [
        "promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=200h",
        str(samples), str(tsdb),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)


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
    window = f"{waits + INTERVAL // 2}s"
    fires = f"count_over_time({active}[{window}]) > {waits // INTERVAL}"
    if keeps := _seconds(rule.get("keep_firing_for", "0s")):
        fires = f"max_over_time(({fires})[{keeps}s:{INTERVAL}s])"
    # To the power of 0 each number is 1.
    yield {"record": "ALERTS", "expr": f"({fires}) ^ 0", "labels": {"alertstate": "firing"}}
    yield {"record": began, "expr": f"timestamp({active} unless {active} offset {INTERVAL}s)"}
    yield {"record": "ALERTS_FOR_STATE", "expr": f"last_over_time({began}[1d]) and {active}"}


def _seconds(duration: str) -> int:
    return int(parse_duration(duration).total_seconds())


def _reads(rule: _Rule) -> set[str]:
    return set(_NAME.findall(rule["expr"]))


def _goes_on(rule: _Rule) -> bool:
    """Return whether a rule goes on from its own values."""
    return rule["record"] in _reads(rule)


def _ask(url: str, rules: Iterable[_Rule], span: tuple[float, float], known: TextIO) -> None:
    for rule in rules:
        query = {"query": rule["expr"], "start": span[0], "end": span[1], "step": INTERVAL}
        answer = httpx.post(f"{url}/api/v1/query_range", data=query, timeout=300)
        # At some times of one name, at others of another, it is one series that is recorded.
        recorded: dict[str, list[tuple[float, str]]] = defaultdict(list)
        for series in answer.raise_for_status().json()["data"]["result"]:
            labels = {**series["metric"], **rule.get("labels", {})}
            labels.pop("__name__", None)
            recorded[rule["record"] + _written(labels)] += series["values"]
        for name, values in recorded.items():
            known.writelines(f"{name} {value} {at}\n" for at, value in sorted(values))


def _written(labels: Mapping[str, str]) -> str:
    pairs = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _lay(scraped: Path, known: TextIO, tsdb: Path) -> None:
    """Make *tsdb* anew, of what was scraped and what is *known* of the rules."""
    shutil.rmtree(tsdb, ignore_errors=True)
    shutil.copytree(scraped, tsdb, copy_function=os.link)
    end = known.tell()
    if end:
        known.write("# EOF\n")
        known.flush()
        make_blocks(Path(known.name), tsdb)
        known.seek(end)
        known.truncate()
