"""Prometheus metrics, dashboards and tested alerts for MLflow and the DAGs that log to it."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("flowgauge")
