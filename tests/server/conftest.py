"""MLflow servers with the app, shared where the tests only add to their counters."""

import os
from collections.abc import Iterator

import pytest

from stack.mariadb import MariaDb, mariadb
from stack.mlflow import MlflowServer, mlflow_server
from stack.postgres import Postgres, postgres
from tests.server import object_store
from tests.server.scrape import Change

APP = ("--app-name", "flowgauge")


# Gateway and webhooks may reach the tests' own servers, and what is wrong is not tried again.
_LOOPBACK_TOO = {
    "MLFLOW_CRYPTO_KEK_PASSPHRASE": "of the tests",
    "MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_WEBHOOK_CACHE_TTL": "0",
    "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES": "0",
}


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """MLflow with the app on four workers, its default, and SQLite."""
    folder = tmp_path_factory.mktemp("four")
    env = {**_LOOPBACK_TOO, "PYTHONPATH": str(object_store.install(folder / "site"))}
    with mlflow_server(folder, options=APP, workers=4, env=env) as server:
        yield server


@pytest.fixture
def change(four: MlflowServer) -> Change:
    """What the test itself adds to the counters."""
    return Change(four.url)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres | MariaDb]:
    """An empty database for MLflow, one a module: PostgreSQL, or what STACK_DATABASE names."""
    folder = tmp_path_factory.mktemp("database")
    chosen = os.environ.get("STACK_DATABASE", "postgresql")
    with mariadb(folder) if chosen == "mariadb" else postgres(folder) as server:
        yield server
