"""An MLflow plugin: every request of MLflow's client in a task says which DAG and task it is for.

The server app counts by it. Entry point group `mlflow.request_header_provider`; MLflow asks before
each request: https://mlflow.org/docs/latest/plugins.html
"""

import logging
import os

from flowgauge.airflow.context import current_pair
from flowgauge.airflow.host.names import airflow_is_loaded
from flowgauge.dag_headers import dag_headers

__all__ = ["AirflowRequestHeaders"]

_log = logging.getLogger(__name__)


class AirflowRequestHeaders:
    """Keeps MLflow's `RequestHeaderProvider`, by duck type: deriving would import MLflow."""

    def in_context(self) -> bool:
        """Return whether a task may be running; `request_headers` looks more closely."""
        return airflow_is_loaded() or "AIRFLOW_CTX_DAG_ID" in os.environ

    def request_headers(self) -> dict[str, str]:
        """Return the headers that name the running task; none outside one. Raises nothing.

        None either where the DAG parameter `mlflow_enable` is off.
        """
        try:
            return dag_headers(*current_pair())
        # Airflow's objects may do anything, and MLflow would warn at every request.
        except Exception:  # noqa: BLE001
            _log.debug("The running task cannot be told", exc_info=True)
            return {}
