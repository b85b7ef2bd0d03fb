"""What is installed on this side."""

import platform
from importlib.metadata import PackageNotFoundError, version

from flowgauge import __version__
from flowgauge.compatibility import remark

__all__ = ["describe_installation"]


def describe_installation() -> str:
    """Return the versions of flowgauge, Python and Airflow, and what is known of them."""
    python = platform.python_version()
    return f"flowgauge {__version__} on Python {python}{remark('python', python)}, {_airflow()}"


def _airflow() -> str:
    try:
        airflow = version("apache-airflow")
    except PackageNotFoundError:
        return "without Airflow"
    return f"with Airflow {airflow}{remark('airflow', airflow)}"
