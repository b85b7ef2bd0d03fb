"""The order in which the tracking URI is looked for."""

import subprocess
import sys
from pathlib import Path

import pytest

from flowgauge.errors import UsageError
from flowgauge.tracking.uri import resolve_tracking_uri


@pytest.fixture
def environments(folder: Path) -> Path:
    """A folder with the environments dev and prod."""
    for name in ("dev", "prod"):
        (folder / f"{name}.yaml").write_text(f"domains: {{mlflow: {name}.example.com}}")
    return folder


def _found(environ: dict[str, str], folder: Path) -> tuple[str, str] | None:
    uri = resolve_tracking_uri(environ, folder)
    return (uri.value, uri.source) if uri else None


def test_the_environment_variable_comes_first(environments: Path) -> None:
    """MLFLOW_TRACKING_URI wins over the files, and is returned as it is."""
    environ = {"MLFLOW_TRACKING_URI": "sqlite:///x.db", "ENV": "prod"}
    source = "the environment variable MLFLOW_TRACKING_URI"
    assert _found(environ, environments) == ("sqlite:///x.db", source)


def test_then_the_file_that_env_names(environments: Path) -> None:
    """ENV chooses the file, dev without it; the source is the file."""
    prod = ("https://prod.example.com", str(environments / "prod.yaml"))
    dev = ("https://dev.example.com", str(environments / "dev.yaml"))
    assert _found({"ENV": "prod"}, environments) == prod
    assert _found({}, environments) == dev


def test_else_there_is_none(folder: Path) -> None:
    """Without ENV, neither a folder without dev.yaml nor the lack of a folder gives a URI."""
    assert _found({}, folder) is None
    assert _found({}, folder / "environments") is None


def test_no_production_but_the_users(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no folder of environments, `ENV=prod` is an error, and never an address."""
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="there is no folder environments"):
        resolve_tracking_uri({"ENV": "prod"}, ask_airflow=lambda: None)


def test_an_env_that_does_not_exist_is_an_error(environments: Path) -> None:
    """A name that ENV gives on purpose is not skipped."""
    with pytest.raises(UsageError, match="has dev, prod"):
        resolve_tracking_uri({"ENV": "qa"}, environments)


@pytest.mark.parametrize(
    ("variable", "value", "source"),
    [
        ("http://variable:5000", "http://variable:5000", "the Airflow Variable"),
        (None, "https://dev.example.com", "dev.yaml"),
    ],
)
def test_airflow_is_asked_where_it_is_loaded(
    environments: Path, variable: str | None, value: str, source: str
) -> None:
    """With Airflow in the process its Variable comes before the files; without it, they do."""
    script = environments / "script.py"
    script.write_text(
        "import airflow.sdk, pathlib, sys\n"
        "from flowgauge.tracking.uri import resolve_tracking_uri\n"
        "uri = resolve_tracking_uri(folder=pathlib.Path(sys.argv[1]))\n"
        "print(uri.value, uri.source, sep='|')\n"
    )
    environ = {"AIRFLOW_HOME": str(environments / "airflow"), "HOME": str(environments)}
    if variable:
        environ["AIRFLOW_VAR_MLFLOW_TRACKING_URI"] = variable
    out = subprocess.run(
        [sys.executable, script, environments],
        env=environ,
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    found, _, where = out.stdout.strip().splitlines()[-1].partition("|")
    assert found == value
    assert source in where
