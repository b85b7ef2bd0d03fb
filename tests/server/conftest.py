"""MLflow servers with the app, shared where the tests only add to their counters."""

import os
from collections.abc import Iterator

import pytest

from stack.mariadb import MariaDb, mariadb
from stack.mlflow import MlflowServer, mlflow_server
from stack.postgres import Postgres, postgres

APP = ("--app-name", "flowgauge")


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """MLflow with the app on four workers, its default, and SQLite."""
    folder = tmp_path_factory.mktemp("four")
    with mlflow_server(folder, options=APP, workers=4) as server:
        yield server


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres | MariaDb]:
    """An empty database for MLflow, one a module: PostgreSQL, or what STACK_DATABASE names."""
    folder = tmp_path_factory.mktemp("database")
    chosen = os.environ.get("STACK_DATABASE", "postgresql")
    with mariadb(folder) if chosen == "mariadb" else postgres(folder) as server:
        yield server
