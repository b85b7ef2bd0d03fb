import json
import subprocess
import sys
from pathlib import Path

import pytest

import flowgauge.airflow

_HEAVY = {"mlflow", "airflow", "pandas", "numpy", "redis", "sqlite3", "httpx", "pydantic"}


def _loaded_after(statement: str) -> set[str]:
    """Return the top-level packages a new interpreter has loaded after *statement*."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "statement",
    [
        "import flowgauge.airflow",
        "from flowgauge.airflow import log_with_mlflow",
        "from flowgauge.airflow import ExtractPayload, PayloadError, validate_payload_schema",
    ],
)
def test_a_dag_file_pays_next_to_nothing(statement: str) -> None:
    """What a DAG file imports of flowgauge loads no MLflow, Airflow, pandas, HTTP client, store."""
    assert not _loaded_after(statement) & _HEAVY


def test_importing_is_cheaper_than_an_http_client() -> None:
    """The import adds fewer modules to the parser's process than httpx alone would."""

    def modules(statement: str) -> int:
        program = f"{statement}\nimport sys\nprint(len(sys.modules))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        return int(done.stdout)

    base = modules("import importlib.metadata")
    ours = modules("from flowgauge.airflow import log_with_mlflow, validate_payload_schema") - base
    assert ours < (modules("import httpx") - base) / 3


def test_a_log_call_loads_no_mlflow(folder: Path) -> None:
    """Also the call itself gets by without MLflow, pandas and, outside Airflow, Airflow."""
    call = (
        "import os\n"
        "os.environ['MLFLOW_TRACKING_URI'] = 'http://127.0.0.1:9'\n"
        f"os.environ['AIRFLOW_HOME'] = {str(folder)!r}\n"
        "from flowgauge.airflow import log_with_mlflow\n"
        "assert log_with_mlflow({'rows': 1}) is None"
    )
    assert not _loaded_after(call) & {"mlflow", "airflow", "pandas", "numpy", "redis", "pydantic"}


def test_unknown_names_are_unknown() -> None:
    """A name the package does not have is an AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'log_to_mlflow'"):
        _ = flowgauge.airflow.log_to_mlflow
