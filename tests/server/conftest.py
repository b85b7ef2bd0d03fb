"""MLflow servers with the app, shared where the tests only add to their counters."""

from collections.abc import Iterator

import pytest

from stack.mlflow import MlflowServer, mlflow_server

APP = ("--app-name", "flowgauge")


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """MLflow with the app on four workers, its default, and SQLite."""
    folder = tmp_path_factory.mktemp("four")
    with mlflow_server(folder, options=APP, workers=4) as server:
        yield server
