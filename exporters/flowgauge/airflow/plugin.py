"""The Airflow plugin: a link from every task that logged to its run in MLflow.

Airflow loads it through the entry point group `airflow.plugins`, in every component.
"""

from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from flowgauge.airflow.run_link import XCOM_KEY

try:
    from airflow.sdk import BaseOperatorLink
except ImportError:
    # Airflow 2
    from airflow.models.baseoperatorlink import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.models.taskinstancekey import TaskInstanceKey

__all__ = ["FlowgaugePlugin", "MlflowRunLink"]


class MlflowRunLink(BaseOperatorLink):  # type: ignore[misc] # Airflow is not followed by mypy
    """The button `MLflow run` of a task instance."""

    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: "TaskInstanceKey") -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address `log_with_mlflow` left, or nothing: then there is no button."""
        return str(_read_xcom(ti_key, XCOM_KEY) or "")


def _read_xcom(ti_key: "TaskInstanceKey", key: str) -> Any:
    # Links are made in the API server, where the task SDK's XCom fails: there is no task.
    try:
        from airflow.models.xcom import XComModel  # noqa: PLC0415 - heavy, and no task needs it
    except ImportError:
        # Airflow 2
        from airflow.models.xcom import XCom  # noqa: PLC0415

        return XCom.get_value(ti_key=ti_key, key=key)
    from airflow.utils.session import create_session  # noqa: PLC0415

    query = XComModel.get_many(
        run_id=ti_key.run_id,
        key=key,
        dag_ids=ti_key.dag_id,
        task_ids=ti_key.task_id,
        map_indexes=ti_key.map_index,
        limit=1,
    )
    # A session of our own: the request's would be closed under its feet.
    with create_session(scoped=False) as session:
        found = session.scalars(query).first()
        return found and XComModel.deserialize_value(found)


class FlowgaugePlugin(AirflowPlugin):  # type: ignore[misc] # see above
    """What Airflow takes from flowgauge."""

    name = "flowgauge"
    global_operator_extra_links = [MlflowRunLink()]  # noqa: RUF012 - Airflow's interface
