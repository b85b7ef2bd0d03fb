"""The order in which the tracking URI is looked for."""

from pathlib import Path

import pytest

from flowgauge.errors import UsageError
from flowgauge.tracking.uri import TrackingUri, resolve_tracking_uri


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


def test_airflow_comes_before_the_files(environments: Path) -> None:
    """What Airflow says wins over the files, and loses to the environment variable."""
    told = TrackingUri("http://told:5000", "Airflow")
    assert resolve_tracking_uri({"ENV": "prod"}, environments, lambda: told) == told
    environ = {"MLFLOW_TRACKING_URI": "http://set:5000"}
    found = resolve_tracking_uri(environ, environments, lambda: told)
    assert found
    assert found.value == "http://set:5000"
