"""Reading, where Airflow makes its pages, what a task left for a link."""

from typing import Any

from flowgauge.airflow.host.asking import Asking
from flowgauge.airflow.host.names import airflow_name

__all__ = ["read_link"]

# A web server that reads its first XCom has to load a good deal of Airflow.
_SECONDS = 5.0
_airflow = Asking("Airflow")


def read_link(name: str, xcom_key: str, operator: Any, ti_key: Any) -> str:
    """Return the text that the task instance *ti_key* left as *xcom_key*, empty if none.

    Airflow 3 does so itself, for links that are no more than the key of an XCom: *name* and
    *operator* are theirs.
    """

    def read() -> Any:
        return airflow_name("XCom").get_value(ti_key=ti_key, key=xcom_key)

    try:
        link = airflow_name("XComOperatorLink")(name=name, xcom_key=xcom_key)
    except ImportError:
        # Airflow 2, whose links read XComs themselves.
        return str(_airflow.ask(f"Reading the XCom {xcom_key}", read, _SECONDS) or "")
    return str(link.get_link(operator, ti_key=ti_key) or "")
