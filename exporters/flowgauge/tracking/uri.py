"""Which MLflow: the one place that decides it, for tasks, exporter and commands alike."""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from flowgauge.environment import chosen_environment, environments_folder, load_environment
from flowgauge.errors import UsageError

__all__ = ["TrackingUri", "require_tracking_uri", "resolve_tracking_uri"]

_VARIABLE = "MLFLOW_TRACKING_URI"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrackingUri:
    """A tracking URI, as it was given, and the place it comes from, for people to read."""

    value: str
    source: str


def _ask_loaded_airflow() -> str | None:
    if "airflow" not in sys.modules:
        return None
    try:
        value = _read_variable()
    except Exception as error:  # noqa: BLE001 - Airflow without a database raises what it likes
        _log.debug("The Airflow Variable %s cannot be read: %s", _VARIABLE, error)
        return None
    return value or None


def _read_variable() -> str | None:
    value: str | None
    try:
        value = import_module("airflow.sdk").Variable.get(_VARIABLE, default=None)
    except ModuleNotFoundError:  # Airflow 2
        value = import_module("airflow.models").Variable.get(_VARIABLE, default_var=None)
    return value


def resolve_tracking_uri(
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    ask_airflow: Callable[[], str | None] = _ask_loaded_airflow,
) -> TrackingUri | None:
    """Return the tracking URI from the first place that has one, None if no place has.

    The places: MLFLOW_TRACKING_URI in *environ*; the Airflow Variable of that name, if this
    process has loaded Airflow, as every task has, or as *ask_airflow* finds it; `$ENV.yaml` in the
    folder of environments (ENV defaults to dev, where the folder has it).

    Raises `UsageError` if ENV names no environment, or a malformed one.
    """
    if value := environ.get(_VARIABLE):
        return TrackingUri(value, f"the environment variable {_VARIABLE}")
    if value := ask_airflow():
        return TrackingUri(value, f"the Airflow Variable {_VARIABLE}")
    return _from_environment(environ, folder or environments_folder(environ))


def require_tracking_uri(
    environ: Mapping[str, str] = os.environ,
    ask_airflow: Callable[[], str | None] = _ask_loaded_airflow,
) -> TrackingUri:
    """Return the tracking URI; raise `UsageError` also if no place has one."""
    if found := resolve_tracking_uri(environ, ask_airflow=ask_airflow):
        return found
    raise UsageError(
        f"no MLflow is named: set {_VARIABLE}, in the environment or as an Airflow Variable, or "
        "name an environment in ENV"
    )


def _from_environment(environ: Mapping[str, str], folder: Path) -> TrackingUri | None:
    name = chosen_environment(folder, environ)
    if name is None:
        return None
    environment = load_environment(name, folder)
    return TrackingUri(environment.domains.mlflow, str(folder / f"{name}.yaml"))
