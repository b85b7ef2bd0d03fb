"""Write the tables of all metrics into README.md, from the one list in `flowgauge.metrics`.

python scripts/metrics_table.py            writes them
python scripts/metrics_table.py --check    fails if README.md is not current
"""

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from flowgauge.metrics import (
    EXPORTER_METRICS,
    MLFLOW_METRICS,
    RELAY_METRICS,
    SERVER_METRICS,
    Metric,
)

_README = Path(__file__).parent.parent / "README.md"
_BETWEEN = re.compile(r"(<!-- metrics:begin -->\n).*(<!-- metrics:end -->)", re.DOTALL)


def main() -> None:
    """Bring README.md up to date, or tell whether it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail if outdated")
    check = parser.parse_args().check
    before = _README.read_text(encoding="utf-8")
    after, found = _BETWEEN.subn(lambda match: match[1] + _tables() + match[2], before)
    if not found:
        sys.exit("README.md lacks the markers <!-- metrics:begin --> and <!-- metrics:end -->")
    if check and after != before:
        sys.exit("The metrics in README.md are not current: run scripts/metrics_table.py")
    _README.write_text(after, encoding="utf-8")


def _tables() -> str:
    server = _table("MLflow server, `mlflow server --app-name flowgauge`", SERVER_METRICS)
    own = _table("MLflow's own of traces, on the same page from MLflow 3.17 on", MLFLOW_METRICS)
    exporter = _table("Exporter, `flowgauge exporter`", EXPORTER_METRICS)
    relay = _table("Relay, `flowgauge relay`", RELAY_METRICS)
    return f"{server}\n{own}\n{exporter}\n{relay}"


def _table(title: str, metrics: Iterable[Metric]) -> str:
    rows = "".join(
        f"| `{metric.name}` | {metric.kind} | {_code(metric.labels)} | {metric.help} |\n"
        for metric in metrics
    )
    return f"**{title}**\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n{rows}"


def _code(labels: Iterable[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


if __name__ == "__main__":
    main()
