"""The rules in the files of a mixin."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flowgauge.assets import asset

_CHECKOUT = Path(__file__).parents[2]
_MIXIN = _CHECKOUT / "mixin"
_WATCHDOG = "watchdog_test.yaml"


def test_what_is_generated_is_current() -> None:
    """Rules, alerts and dashboards of the mixin are the repository's."""
    check = [sys.executable, "scripts/mixin.py", "--check"]
    done = subprocess.run(check, cwd=_CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_the_unit_tests_of_the_rules_pass(folder: Path) -> None:
    """Split into rules and alerts, they do what their unit tests say."""
    mixin = [
        group
        for file in ("prometheus_rules.yaml", "prometheus_alerts.yaml")
        for group in yaml.safe_load((_MIXIN / file).read_text())["groups"]
    ]
    # How the watchdog begins hangs on the order within its group, which is another here.
    for path in {*asset("rules_tests").glob("*_test.yaml")} - {asset("rules_tests") / _WATCHDOG}:
        text = path.read_text()
        tested = re.findall(r"^ +- \.\./alerts/(\w+\.yaml)\n", text, re.MULTILINE)
        first = yaml.safe_load(text).get("group_eval_order") or _groups(tested)
        # Rules before alerts, as promtool evaluates them; a Prometheus does it side by side, and an
        # alert may come one evaluation later.
        names = [f"{group}.rules" for group in first] + first
        ours = [group for name in names for group in mixin if group["name"] == name]
        (folder / f"{path.stem}.rules").write_text(yaml.safe_dump({"groups": ours}))
        order = yaml.safe_dump({"group_eval_order": [group["name"] for group in ours]})
        text = re.sub(
            r"^(rule_files|group_eval_order):.*\n(?: +- .+\n)*", "", text, flags=re.MULTILINE
        )
        (folder / path.name).write_text(f"rule_files: [{path.stem}.rules]\n{order}{text}")
    done = subprocess.run(
        ["promtool", "test", "rules", *sorted(folder.glob("*.yaml"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _groups(files: list[str]) -> list[str]:
    loaded = [yaml.safe_load((asset("alerts") / file).read_text()) for file in files]
    return [group["name"] for file in loaded for group in file["groups"]]
