"""Airflow's names, by the places where its versions keep them."""

import sys
from importlib import import_module
from typing import Any

__all__ = ["airflow_is_loaded", "airflow_name"]

# Airflow 3 first: it keeps some of the old places, and warns of them.
_PLACES = {
    "AirflowPlugin": ("airflow.plugins_manager",),
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),
    "BaseOperatorLink": ("airflow.sdk", "airflow.models.baseoperatorlink"),
    "BaseSensorOperator": ("airflow.sdk", "airflow.sensors.base"),
    "BaseTrigger": ("airflow.triggers.base",),
    "Connection": ("airflow.sdk", "airflow.models"),
    "Stats": ("airflow.sdk.observability.stats", "airflow.stats"),
    "TriggerEvent": ("airflow.triggers.base",),
    "Variable": ("airflow.sdk", "airflow.models"),
    "XCom": ("airflow.models.xcom",),
    "XComOperatorLink": (
        "airflow.serialization.definitions.operatorlink",
        "airflow.serialization.serialized_objects",
    ),
    "get_current_context": ("airflow.sdk", "airflow.operators.python"),
    "hookimpl": ("airflow.listeners",),
}


def airflow_is_loaded() -> bool:
    """Return whether this process has imported Airflow: a task's has, long before it asks.

    Anywhere else, importing it would take two seconds.
    """
    return "airflow" in sys.modules


def airflow_name(name: str) -> Any:
    """Return what Airflow calls *name*; raise ImportError if this version has no such thing."""
    for place in _PLACES[name]:
        try:
            return getattr(import_module(place), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"this version of Airflow has no {name}")
