"""Which MLflow Airflow names, on the Airflow of AIRFLOW_PYTHON."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack.airflow import AIRFLOW_PYTHON

# Asks as a task does that has the environment of each line, and has long loaded its Airflow.
_ASK = """
import airflow, json, os, sys
from flowgauge.airflow.host.names import airflow_name
from flowgauge.airflow.host.services import get_connection
from flowgauge.airflow.uri import find_tracking_uri
airflow_name("Connection"), airflow_name("Variable")
os.environ["AIRFLOW_CONN_FIRST"] = "http://me:pass@first"
get_connection("first", seconds=120)
for line in sys.stdin:
    os.environ.update(environ := json.loads(line))
    found = find_tracking_uri()
    print("found", json.dumps([found.value, found.source]))
    for name in environ:
        del os.environ[name]
"""
_VARIABLE = {"AIRFLOW_VAR_MLFLOW_TRACKING_URI": "http://variable:5000"}
_CONNECTION = {"AIRFLOW_CONN_MLFLOW_DEFAULT": "https://me:p%40ss@connection:8443/prefix"}


def _connection(**fields: object) -> Mapping[str, str]:
    return {"AIRFLOW_CONN_MLFLOW_DEFAULT": json.dumps(fields)}


_PROCESS = {"MLFLOW_TRACKING_URI": "http://process:5000"}
_ORDER = [{**_PROCESS, **_CONNECTION}, {**_CONNECTION, **_VARIABLE}, _VARIABLE, {}]
_RENAMED = {"FLOWGAUGE_MLFLOW_CONN_ID": "ours", "AIRFLOW_CONN_OURS": "http://ours:5000"}
_READ = [
    _connection(conn_type="http", host="mlflow", schema="https", port=443),
    _connection(conn_type="http", host="https://mlflow/prefix/", login="me"),
    _connection(conn_type="mlflow", host="mlflow", port=5000, login="me", password="p/w"),
    {"AIRFLOW_CONN_MLFLOW_DEFAULT": "http://me:p@[2001:db8::1]:5000/prefix"},
    _connection(conn_type="mlflow", host="::1"),
    _connection(conn_type="mlflow", host="mlflow:5000"),
    _connection(conn_type="http"),
]


@dataclass(frozen=True)
class Found:
    """Value and source of the tracking URI, for each environment of the lists above."""

    order: Sequence[Sequence[str]]
    renamed: Sequence[str]
    read: Sequence[Sequence[str]]
    file: Path


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What one process found: an Airflow takes its time to load."""
    folder = tmp_path_factory.mktemp("uri")
    file = folder / "dev.yaml"
    file.write_text("domains: {mlflow: file.example.com}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [AIRFLOW_PYTHON, "-c", _ASK],
        env={**kept, "AIRFLOW_HOME": str(folder), "FLOWGAUGE_ENVIRONMENTS": str(folder)},
        input="\n".join(map(json.dumps, [_RENAMED, *_ORDER, *_READ])),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    renamed, *rest = [json.loads(line[6:]) for line in lines if line.startswith("found ")]
    return Found(rest[: len(_ORDER)], renamed, rest[len(_ORDER) :], file)


def test_the_places_have_an_order(found: Found) -> None:
    """First comes the process, then the Connection, then the Variable, then the file."""
    assert found.order == [
        ["http://process:5000", "the environment variable MLFLOW_TRACKING_URI"],
        ["https://me:p%40ss@connection:8443/prefix", "the Airflow Connection mlflow_default"],
        ["http://variable:5000", "the Airflow Variable MLFLOW_TRACKING_URI"],
        ["https://file.example.com", str(found.file)],
    ]


def test_a_connection_may_have_another_name(found: Found) -> None:
    """FLOWGAUGE_MLFLOW_CONN_ID names the Connection."""
    assert found.renamed == ["http://ours:5000", "the Airflow Connection ours"]


def test_a_connection_is_read_as_airflows_http_hook_reads_it(found: Found) -> None:
    """The scheme is in the schema, the host or the type; one without a host names no MLflow."""
    assert [value for value, _ in found.read] == [
        "https://mlflow:443",
        "https://me@mlflow/prefix",
        "http://me:p%2Fw@mlflow:5000",
        "http://me:p@[2001:db8::1]:5000/prefix",
        "http://[::1]",
        "http://mlflow:5000",
        "https://file.example.com",
    ]
