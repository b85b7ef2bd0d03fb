"""Real parts for the tests, started once a session where sharing them is safe."""

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import certifi
import hypothesis
import pytest
from packaging.version import Version
from xdist.scheduler import LoadFileScheduling

from flowgauge.cli import main
from stack.airflow import AIRFLOW_PYTHON, airflow_version
from stack.guarded import GuardedMlflow, guarded_mlflow
from stack.mlflow import MlflowServer, mlflow_server
from stack.postgres import Postgres, postgres
from stack.prometheus import promtools
from tests.server import object_store

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

# Each client of httpx reads all certificates that it trusts: 20 ms for the world's, none of which a
# test needs. One is the least.
_TRUSTED = tempfile.NamedTemporaryFile("w", suffix=".pem")  # noqa: SIM115 - until the process ends
_TRUSTED.write("".join(Path(certifi.where()).read_text().partition("END CERTIFICATE-----")[:2]))
_TRUSTED.flush()
pytest.MonkeyPatch().setattr(certifi, "where", lambda: _TRUSTED.name)
for _name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
    os.environ.pop(_name, None)

_ROOT = Path(__file__).parents[1]

# Else each process would start a server of its own: they are most of what the tests cost.
_SHARED = {
    "documents": {"tests/docs/test_examples.py", "tests/docs/test_guide.py"},
    "measured and refused": {
        "tests/cli/test_check.py",
        "tests/exporter/test_gateway.py",
        "tests/server/test_metrics_folder.py",
        *(
            f"tests/server/test_server_{concern}.py"
            for concern in (
                "access",
                "client",
                "dags",
                "gateway",
                "health",
                "inventory",
                "page",
                "requests",
                "start",
                "webhooks",
                "workers",
            )
        ),
    },
    "mlflow and guarded": {
        "tests/airflow/test_log_call.py",
        "tests/cli/test_check_logins.py",
        "tests/exporter/test_exporter.py",
        "tests/exporter/test_runs.py",
        "tests/tracking/test_client.py",
        "tests/tracking/test_logins.py",
        "tests/tracking/test_queries.py",
    },
    "scheduled": {
        "tests/airflow_versions/test_airflow.py",
        "tests/airflow_versions/test_places.py",
    },
    "stores": {str(file.relative_to(_ROOT)) for file in _ROOT.glob("tests/store/test_*.py")},
}

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


def pytest_report_header() -> str:
    """Say which Prometheus versions the rules are tested on."""
    versions = promtools()
    if any(version.startswith("3.") for version in versions):
        return f"promtool: {', '.join(versions)}"
    return f"promtool: {', '.join(versions)}; no 3, which scripts/newer-programs unpacks on Debian"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long`: the tests that `make test` leaves to `make test-long`."""
    parser.addoption("--long", action="store_true", help="run the tests marked long, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this version lacks, and long tests unless asked for.

    Fast tests first, whole systems longest first.
    """
    left_out = [
        item
        for item in items
        if not _has_what_it_needs(item)
        or (item.get_closest_marker("long") and not config.getoption("long"))
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    items.sort(key=_place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Hand out whole files to the processes side by side, and those of one group to one process."""
    scheduler = LoadFileScheduling(config, log)
    scheduler._split_scope = _group_of
    return scheduler


def _group_of(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return next((fixtures for fixtures, files in _SHARED.items() if file in files), file)


def _has_what_it_needs(item: pytest.Item) -> bool:
    if item.get_closest_marker("as_root") and os.geteuid() != 0:
        return False
    if item.get_closest_marker("mounts") and not _may_mount():
        return False
    return all(
        _is_new_enough(package.replace("_", "-"), Version(first))
        for mark in item.iter_markers("since")
        for package, first in mark.kwargs.items()
    )


@cache
def _may_mount() -> bool:
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(tried, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:  # this is no Linux
        return False


def _is_new_enough(package: str, first: Version) -> bool:
    try:
        found = airflow_version(AIRFLOW_PYTHON) if package == "apache-airflow" else version(package)
    except (PackageNotFoundError, subprocess.CalledProcessError):
        return False
    return Version(found) >= first


def _place(item: pytest.Item) -> tuple[bool, int]:
    mark = item.get_closest_marker("whole_system")
    return (mark is not None, -mark.kwargs["seconds"] if mark else 0)


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A stock MLflow on SQLite, shared: make experiments of your own and leave others alone."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """MLflow with the app on two workers, and SQLite."""
    folder = tmp_path_factory.mktemp("measured")
    env = {
        **_LOOPBACK_TOO,
        "FLOWGAUGE_INVENTORY_SECONDS": "1",
        "PYTHONPATH": str(object_store.install(folder / "site")),
    }
    with mlflow_server(folder, options=("--app-name", "flowgauge"), workers=2, env=env) as server:
        yield server


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedMlflow]:
    """A MLflow behind TLS, a path prefix and a login, shared."""
    with guarded_mlflow(tmp_path_factory.mktemp("guarded")) as server:
        yield server


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL with an empty database, one a module."""
    with postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    return tmp_path


@pytest.fixture
def run_here(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Callable[..., tuple[int, str]]:
    """Runs a command in `folder`, in this process; returns its exit code, and what it shows.

    It may not be one that goes on. Wherever it fails, it fails with a sentence.
    """
    for name in [*os.environ]:
        if name.startswith(("MLFLOW_", "FLOWGAUGE_", "GRAFANA_", "AIRFLOW_")) or "PROXY" in name:
            monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_HOME", str(folder))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("FLOWGAUGE_STORE", f"sqlite:///{folder}/store.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.chdir(folder)
    caplog.set_level(logging.DEBUG)

    def run(*arguments: str, **environ: str) -> tuple[int, str]:
        caplog.clear()
        with monkeypatch.context() as patched:
            for name, value in environ.items():
                patched.setenv(name, value)
            patched.setattr(sys, "argv", ["flowgauge", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
        printed = capfd.readouterr()
        text = f"{printed.out}{printed.err}{caplog.text}"
        assert "Traceback" not in text, text
        assert "nobody expected" not in text, text
        assert ended.value.code in {0, 1, 2}
        return int(ended.value.code or 0), text

    return run
