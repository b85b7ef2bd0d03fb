"""What flowgauge costs Airflow's parts before any task runs: at their start, and at each parse.

In new processes, each of which has loaded what that part of Airflow has loaded by then. Processor
time, modules and memory are what comes on top.

    python -m benchmarks.airflow_start
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

PROCESSES = 9
_PLUGINS = "import airflow.plugins_manager, airflow.listeners.listener"
_DAG = "from airflow.sdk import dag, task"

_PLUGIN = """
import flowgauge.airflow.plugin
from flowgauge.airflow.provider import get_provider_info
get_provider_info()
"""
_DECORATED = """
from flowgauge.airflow import log_with_mlflow, rate_limit
rate_limit(max_calls=1, window_seconds=1, variable_key="x")(print)
"""
PARTS = {
    "API server, scheduler, DAG processor: plugin and provider": (_PLUGINS, _PLUGIN),
    "a DAG file that imports `log_with_mlflow`": (
        _DAG,
        "from flowgauge.airflow import log_with_mlflow",
    ),
    "a DAG file with `@rate_limit` too": (_DAG, _DECORATED),
    "for comparison: `import mlflow`": (_DAG, "import mlflow"),
}

_PROGRAM = """
import json, resource, sys, time
{before}
def memory():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
modules, taken, begin = len(sys.modules), memory(), time.process_time()
{measured}
seconds = time.process_time() - begin
print(json.dumps([seconds * 1e3, len(sys.modules) - modules, (memory() - taken) / 1e6]))
"""


def _measure(before: str, measured: str, env: dict[str, str]) -> list[float]:
    program = _PROGRAM.format(before=before, measured=measured)
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    figures: list[float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Print a table of medians."""
    print("| | CPU | modules | memory |")
    print("|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "AIRFLOW_HOME": home}
        # As pip leaves packages, compiled: see `log_call`.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        for name, (before, measured) in PARTS.items():
            taken = [_measure(before, measured, env) for _ in range(PROCESSES)]
            milliseconds, modules, megabytes = map(statistics.median, zip(*taken, strict=True))
            print(f"| {name} | {milliseconds:.1f} ms | {modules:.0f} | {megabytes:.1f} MB |")


if __name__ == "__main__":
    main()
