"""The README's tables of metrics."""

import re
import subprocess
import sys
from pathlib import Path

from flowgauge.metrics import ALL_METRICS

CHECKOUT = Path(__file__).parent.parent


def test_the_readme_is_current() -> None:
    """The tables in README.md are the ones that the code gives."""
    check = [sys.executable, "scripts/metrics_table.py", "--check"]
    done = subprocess.run(check, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_names_follow_prometheus_conventions() -> None:
    """A counter ends in _total, nothing else does; every metric has a sentence and is there once.

    https://prometheus.io/docs/practices/naming/
    """
    metrics = list(ALL_METRICS)
    assert len({metric.name for metric in metrics}) == len(metrics)
    for metric in metrics:
        assert re.fullmatch(r"(mlflow|flowgauge)_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.help.endswith(".")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert list(metric.buckets) == sorted(set(metric.buckets))
