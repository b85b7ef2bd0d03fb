"""What a site of plain MLflow DAGs sees once flowgauge is installed, panel by panel.

    [AIRFLOW_PYTHON=/path/to/python] python -m tests.airflow_versions.plain_site

A real Airflow, 2 or 3, with its scheduler, runs DAGs that know nothing of flowgauge beside MLflow
with the server app, the exporter and Prometheus. Prints which panels of the DAG dashboard have
data, and whether every request that MLflow got was counted for the DAG that made it.
"""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from stack.airflow import AIRFLOW_PYTHON, airflow, airflow_version
from stack.exporter import exporter
from stack.mlflow import mlflow_server
from stack.process import wait_for
from stack.prometheus import Prometheus, prometheus
from tests.dashboards.boards import BOARDS, ROOT, interpolate, panel_queries, panels

_DAGS = Path(__file__).parent / "plain_dags"
_RUNS = 3
# As often as `rate` over four scrapes wants, and recording rules.
_SCRAPES = 10
# stack.mlflow asks for its health until it is ready.
_REQUESTS = 'sum(mlflow_http_requests_total{route!~"probe|/health"})'
_OF_DAGS = "sum(mlflow_dag_requests_total)"


def _has_data(monitor: Prometheus, expr: str) -> bool:
    return bool(monitor.query(f"last_over_time(({interpolate(expr)})[5m:1s])"))


def main() -> None:
    """Run the site and print its table; exit with 1 if a request was not counted for a DAG."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as parts:
        folder = Path(name)
        server = parts.enter_context(
            mlflow_server(folder / "mlflow", options=("--app-name", "flowgauge"))
        )
        store = f"sqlite:///{folder}/store.db"
        page = parts.enter_context(
            exporter(folder / "exporter", mlflow_uri=server.url, store=store)
        )
        targets = {"mlflow": server.url[7:], "flowgauge": page[7:]}
        rules = sorted((ROOT / "alerts").glob("*.yaml"))
        monitor = parts.enter_context(prometheus(folder / "prometheus", targets, rules=rules))
        env = {"MLFLOW_TRACKING_URI": server.url, "FLOWGAUGE_STORE": store}
        parts.enter_context(airflow(folder / "airflow", _DAGS, env=env, python=AIRFLOW_PYTHON))
        # Long enough ago for Prometheus to have scraped all that came of it.
        ended = f'sum(mlflow_dag_runs{{status=~"FINISHED|FAILED"}}) == {_RUNS}'
        since = f"count_over_time(({ended})[10m:1s])"
        wait_for(lambda: (monitor.value(since) or 0) > _SCRAPES, "every run has ended", timeout=600)
        print(f"Airflow {airflow_version(AIRFLOW_PYTHON)}\n\n| panel | has data |\n|---|---|")
        board = BOARDS["flowgauge-dags"]
        for panel in panels(board):
            queries = [
                query
                for query in panel_queries(board)
                if query.where.startswith(f"{board['uid']}: {panel['title']}, query")
            ]
            found = any(_has_data(monitor, query.expr) for query in queries)
            print(f"| {panel['title']} | {'yes' if found else 'no'} |")
        uncounted = monitor.value(f"{_REQUESTS} - {_OF_DAGS}")
        print(
            f"\nOf {monitor.value(_REQUESTS):g} requests, {uncounted:g} were not counted for a DAG."
        )
        sys.exit(uncounted != 0)


if __name__ == "__main__":
    main()
