"""CONTRIBUTING's recipes lead where they say, and a counter costs what they say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PAGE = (_ROOT / "CONTRIBUTING.md").read_text()
_RECIPES = re.findall(r"^\| (an? [^|]+) \| ([^|]+) \| ([^|]+) \|$", _PAGE, re.MULTILINE)
_PLACES = (_ROOT, _ROOT / "exporters" / "flowgauge", _ROOT / "deploy" / "helm" / "flowgauge")

# What the second line of the recipe does, wherever it stands.
_COUNTED = """
import sys
from prometheus_client import generate_latest
from flowgauge.exporter.collector import Context
from flowgauge.exporter.collectors.dag_logging import DagLoggingCollector
from flowgauge.exporter.scrape import Scrape
from flowgauge.metrics import DAG_CAKES
from flowgauge.store import Count, open_store

store = open_store(sys.argv[1])
store.counts.add(Count(DAG_CAKES, ("etl", "load"), 3))
scrape = Scrape([DagLoggingCollector(Context(tracking=None, store=store))])
sys.stdout.write(generate_latest(scrape).decode())
"""


def test_every_place_that_a_recipe_names_is_there() -> None:
    """Files and folders to touch exist, in the checkout, the package or the chart."""
    assert len(_RECIPES) >= 5
    for _, touched, _ in _RECIPES:
        for place in re.findall(r"`([\w./-]+\.\w+|[\w/-]+/)`", touched):
            assert any((base / place).exists() for base in _PLACES), place


def test_a_counter_is_one_line_in_the_package(folder: Path) -> None:
    """A metric in `metrics.py` alone is kept by the store and shown by the exporter."""
    package = folder / "flowgauge"
    shutil.copytree(_ROOT / "exporters" / "flowgauge", package)
    metrics = package / "metrics.py"
    cakes = (
        'DAG_CAKES = Metric("mlflow_dag_cakes_total", "counter", "Cakes.", ("dag_id", "task_id"))'
    )
    table = "COUNTED_METRICS: tuple[Metric, ...] = ("
    assert table in metrics.read_text()
    metrics.write_text(metrics.read_text().replace(table, f"{cakes}\n\n{table}\n    DAG_CAKES,"))
    command = [sys.executable, "-c", _COUNTED, f"sqlite:///{folder}/store.db"]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert 'mlflow_dag_cakes_total{dag_id="etl",task_id="load"} 3.0' in done.stdout
