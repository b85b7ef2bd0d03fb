"""MLflow servers with the app, shared where the tests only add to their counters."""

import os
from collections.abc import Iterator

import pytest

from stack.mariadb import MariaDb, mariadb
from stack.mlflow import MlflowServer
from stack.postgres import Postgres, postgres
from tests.server.refusals import RefusedServer, refused_server
from tests.server.scrape import Change

APP = ("--app-name", "flowgauge")


@pytest.fixture(scope="session")
def refused() -> Iterator[RefusedServer]:
    """Starts a `mlflow server` with the app that does not start; gives exit code and words."""
    with refused_server() as server:
        yield server


@pytest.fixture
def change(measured: MlflowServer) -> Change:
    """What the test itself adds to the counters."""
    return Change(measured.url)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres | MariaDb]:
    """An empty database for MLflow, one a module: PostgreSQL, or what STACK_DATABASE names."""
    folder = tmp_path_factory.mktemp("database")
    chosen = os.environ.get("STACK_DATABASE", "postgresql")
    with mariadb(folder) if chosen == "mariadb" else postgres(folder) as server:
        yield server
