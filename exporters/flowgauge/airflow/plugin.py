"""The Airflow plugin: a link from every task that logged to its runs in MLflow, and a listener.

Airflow loads it through the entry point group `airflow.plugins`, in every component.
"""

from typing import Any

from flowgauge.airflow import listener
from flowgauge.airflow.host.links import read_link
from flowgauge.airflow.host.names import airflow_name
from flowgauge.airflow.run_link import XCOM_KEY, web_link

__all__ = ["FlowgaugePlugin", "MlflowRunLink"]

_AirflowPlugin: Any = airflow_name("AirflowPlugin")
_BaseOperatorLink: Any = airflow_name("BaseOperatorLink")


class MlflowRunLink(_BaseOperatorLink):  # type: ignore[misc] # Airflow is not followed by mypy
    """The button `MLflow run` of a task instance."""

    name = "MLflow run"
    xcom_key = XCOM_KEY

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address that the task left, or nothing: then there is no button."""
        return web_link(read_link(self.name, self.xcom_key, operator, ti_key))


class FlowgaugePlugin(_AirflowPlugin):  # type: ignore[misc] # see above
    """What Airflow takes from flowgauge."""

    name = "flowgauge"
    global_operator_extra_links = [MlflowRunLink()]  # noqa: RUF012 - Airflow's interface
    listeners = [listener]  # noqa: RUF012 - Airflow's interface
