"""The page of incidents: what the catalogue says, and what a run printed."""

import subprocess
import sys

from flowgauge.assets import asset
from stack.incidents.__main__ import _row
from stack.incidents.catalogue import INCIDENTS
from stack.incidents.incident import Outcome
from stack.incidents.page import table


def test_the_page_is_current() -> None:
    """docs/incidents.md has every incident of the catalogue, with what docs/incidents.txt says."""
    check = [sys.executable, "-m", "stack.incidents.page", "--check"]
    folder = asset("alerts").parent
    done = subprocess.run(check, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_line_says_what_is_done_and_what_may_come() -> None:
    """Each incident says its cause in a sentence, its alert, and the alerts that come along."""
    told = _lines(table(""))
    assert [name for name, *_ in told] == [f"`{name}`" for name in INCIDENTS]
    (down,) = [rest for name, *rest in told if name == "`database_gone_dev_down`"]
    cause, alert, beside = down
    assert cause == "Lose the database while another environment in the same Prometheus is down."
    assert alert == "[MLflowApiFailing](../runbooks/MLflowApiFailing.md)"
    assert beside.startswith("[MLflowDown](../runbooks/MLflowDown.md) in dev, ")
    assert beside.endswith("[FlowgaugeCollectorFailing](../runbooks/FlowgaugeCollectorFailing.md)")


def test_every_prometheus_has_a_column_of_what_came() -> None:
    """What `make incidents` printed last is what the page says, of each Prometheus it ran on."""
    outcomes = {
        "quiet": Outcome(INCIDENTS["quiet"]),
        "healthy_burst": Outcome(INCIDENTS["healthy_burst"], false_alarms={"MLflowDown"}),
        "flapping": Outcome(INCIDENTS["flapping"], fired=12.4, resolved=31.0),
        "store_gone": Outcome(INCIDENTS["store_gone"], fired=9.0),
    }
    rows = "\n".join(map(_row, outcomes.values()))
    left_out = "worker_leaking                   left out: this user may not cause it"
    printed = f"make[1]: ...\nPrometheus 2.42.0, Alertmanager 0.25.0\n{rows}\n{left_out}\n"
    newer = f"Prometheus 3.5.3, Alertmanager 0.25.0\n{_row(outcomes['quiet'])}\n"
    later = Outcome(INCIDENTS["store_gone"], fired=9.0, resolved=30.0)
    again = f"{newer}Prometheus 2.42.0, Alertmanager 0.25.0\n{_row(later)}\n"

    head, _, *_ = table(printed + again).splitlines()
    came = {name: cells[-2:] for name, *cells in _lines(table(printed + again))}
    assert head.endswith("| Prometheus 2.42.0 | Prometheus 3.5.3 |")
    assert came["`quiet`"] == ["none", "none"]
    assert came["`healthy_burst`"] == ["none; and MLflowDown", ""]
    assert came["`flapping`"] == ["12 s, 31 s", ""]
    assert came["`store_gone`"] == ["9 s, 30 s", ""]
    assert came["`worker_leaking`"] == ["", ""]


def _lines(markdown: str) -> list[list[str]]:
    """Return the cells of each line of a table, but of its head."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines()[2:]
    ]
