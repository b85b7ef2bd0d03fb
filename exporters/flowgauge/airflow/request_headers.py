"""An MLflow plugin: every request of MLflow's client in a task says which DAG and task it is for.

The server app counts by it. Entry point group `mlflow.request_header_provider`; MLflow asks before
each request: https://mlflow.org/docs/latest/plugins.html
"""

import logging
import os
from collections.abc import Mapping
from functools import lru_cache

from flowgauge.airflow.context import current_pair
from flowgauge.airflow.host.names import airflow_is_loaded
from flowgauge.dag_headers import dag_headers
from flowgauge.errors import UsageError
from flowgauge.redact import spell_error
from flowgauge.tracking.headers import MLFLOW_HEADERS, parse_headers

__all__ = ["AirflowRequestHeaders"]

_log = logging.getLogger(__name__)


class AirflowRequestHeaders:
    """Keeps MLflow's `RequestHeaderProvider`, by duck type: deriving would import MLflow."""

    def in_context(self) -> bool:
        """Return whether there may be something to send; `request_headers` looks more closely."""
        return (
            airflow_is_loaded()
            or "AIRFLOW_CTX_DAG_ID" in os.environ
            or MLFLOW_HEADERS in os.environ
        )

    def request_headers(self) -> dict[str, str]:
        """Return the headers that name the running task, and those of FLOWGAUGE_MLFLOW_HEADERS.

        None name it outside a task, and where the DAG parameter `mlflow_enable` is off. Raises
        nothing.
        """
        return {**_given_headers(os.environ.get(MLFLOW_HEADERS, "")), **_task_headers()}


def _task_headers() -> dict[str, str]:
    try:
        return dag_headers(*current_pair())
    # Airflow's objects may do anything, and MLflow would warn at every request.
    except Exception as error:  # noqa: BLE001
        _log.debug("The running task cannot be told\n%s", spell_error(error))
        return {}


@lru_cache(4)
def _given_headers(text: str) -> Mapping[str, str]:
    try:
        return parse_headers(text, MLFLOW_HEADERS)
    except UsageError as error:
        _log.warning("Requests to MLflow go without them: %s", error)
        return {}
