"""The rules on a MLflow without flowgauge, which exports with `--expose-prometheus`."""

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from stack.mlflow import mlflow_server
from stack.process import wait_for
from stack.prometheus import prometheus
from stack.rules import scaled_rules

pytestmark = pytest.mark.whole_system(seconds=30)

_GET = "/api/2.0/mlflow/experiments/get"
_SERIES = (
    'instance_status:mlflow_http_requests:rate5m{status="200"}',
    'instance_status:mlflow_http_requests:rate5m{status="404"}',
    'server:mlflow_http_request_duration_seconds:p95_rate5m{instance!=""}',
)


def test_the_rules_read_what_a_stock_server_exports(folder: Path) -> None:
    """Its requests by status and its latency are recorded, nothing fires, and its end does."""
    with ExitStack() as parts:
        stop = parts.enter_context(ExitStack())
        exposing = ("--expose-prometheus", str(folder / "metrics"))
        server = stop.enter_context(mlflow_server(folder / "mlflow", options=exposing))
        watching = parts.enter_context(
            prometheus(
                folder / "prometheus",
                {"mlflow": urlsplit(server.url).netloc},
                rules=scaled_rules(folder, 30),
            )
        )

        def recorded() -> bool:
            for experiment in ("0", "77"):
                httpx.get(f"{server.url}{_GET}", params={"experiment_id": experiment}, timeout=60)
            return all((watching.value(series) or 0) > 0 for series in _SERIES)

        # Prometheus looks once a second, and each look of ours is work for MLflow.
        wait_for(recorded, "requests and their latency are recorded", interval=0.5)
        assert "MLflowDown" not in watching.firing()
        stop.close()
        wait_for(lambda: "MLflowDown" in watching.firing(), "its end is an alert")
