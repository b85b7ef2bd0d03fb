"""Which MLflow: the one place that decides it, for tasks, exporter and commands alike."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from flowgauge.environment import chosen_environment, environments_folder, load_environment
from flowgauge.errors import UsageError
from flowgauge.tracking.headers import MLFLOW_HEADERS

__all__ = [
    "MLFLOW_TRACKING_URI",
    "TrackingUri",
    "require_tracking_uri",
    "resolve_tracking_uri",
]

MLFLOW_TRACKING_URI = "MLFLOW_TRACKING_URI"


class TrackingUri(NamedTuple):
    """A tracking URI, as it was given, and the place it comes from, for people to read.

    `headers`, as JSON, come with it: a Connection has a token, and more.
    """

    value: str
    source: str
    headers: str = ""

    def __repr__(self) -> str:
        # The rest holds the login.
        return f"TrackingUri(source={self.source!r})"

    def environ(self, environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
        """Return *environ* with what comes with the URI."""
        return {**environ, MLFLOW_HEADERS: self.headers} if self.headers else environ


def _nobody() -> TrackingUri | None:
    return None


def resolve_tracking_uri(
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    ask_airflow: Callable[[], TrackingUri | None] = _nobody,
) -> TrackingUri | None:
    """Return the tracking URI from the first place that has one, None if no place has.

    The places: MLFLOW_TRACKING_URI in *environ*; Airflow, where *ask_airflow* knows how to ask it
    (see `flowgauge.airflow.uri`); `$ENV.yaml` in the folder of environments (ENV defaults
    to dev, where the folder has it).

    Raises `UsageError` if ENV names no environment, or a malformed one.
    """
    if value := environ.get(MLFLOW_TRACKING_URI):
        return TrackingUri(value, f"the environment variable {MLFLOW_TRACKING_URI}")
    if found := ask_airflow():
        return found
    return _from_environment(environ, folder or environments_folder(environ))


def require_tracking_uri(
    environ: Mapping[str, str] = os.environ,
    ask_airflow: Callable[[], TrackingUri | None] = _nobody,
) -> TrackingUri:
    """Return the tracking URI; raise `UsageError` also if no place has one."""
    if found := resolve_tracking_uri(environ, ask_airflow=ask_airflow):
        return found
    raise UsageError(
        f"no MLflow is named: set {MLFLOW_TRACKING_URI}, in the environment or as an Airflow "
        "Variable, or make the Airflow Connection mlflow_default, or name an environment in ENV"
    )


def _from_environment(environ: Mapping[str, str], folder: Path) -> TrackingUri | None:
    name = chosen_environment(folder, environ)
    if name is None:
        return None
    environment = load_environment(name, folder)
    return TrackingUri(environment.domains.mlflow, str(folder / f"{name}.yaml"))
