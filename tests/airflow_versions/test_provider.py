"""flowgauge as a provider, on the Airflow of AIRFLOW_PYTHON."""

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Mapping
from concurrent.futures import wait
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from flowgauge.background import in_background
from flowgauge.store import open_store
from flowgauge.store.rate_limits import rate_limits
from stack import dag_test
from stack.airflow import AIRFLOW_PYTHON, airflow_home
from stack.mlflow import MlflowServer
from tests.airflow_versions.gate import gated

pytestmark = [pytest.mark.timeout(600), pytest.mark.whole_system(seconds=60)]

_HERE = Path(__file__).parent
_TOKEN = "t0ken-of-the-team"
_KEY = "k3y-of-the-gateway"
_PASSWORD = "hunter2-and-more"
_EXTRA = {"token": _TOKEN, "secret_headers": json.dumps({"X-Api-Key": _KEY})}


@dataclass(frozen=True)
class Site:
    """An Airflow home, and an MLflow behind a gateway that wants a token and a key."""

    env: Mapping[str, str]
    gate: str

    def run(self, *arguments: str) -> str:
        """Run a program of the Airflow's environment; return what it wrote."""
        program = str(Path(AIRFLOW_PYTHON).with_name(arguments[0]))
        done = subprocess.run(
            [program, *arguments[1:]],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return f"{done.stdout}\n{done.stderr}"

    def run_dags(self, *dag_ids: str) -> str:
        """Run DAGs of the folder `provider_dags` to their end; return what was logged."""
        result = Path(self.env["AIRFLOW_HOME"], "runs.json")
        dags, runs = str(_HERE / "provider_dags"), json.dumps([(each, {}) for each in dag_ids])
        return self.run("python", dag_test.__file__, dags, runs, str(result))

    def answer(self, script: str) -> Any:
        """Return what a script of the folder `probe` answers."""
        lines = self.run("python", str(_HERE / "probe" / script)).splitlines()
        return next(json.loads(line) for line in lines if line.startswith(("{", "[")))


@pytest.fixture(scope="module")
def site(mlflow: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The home and the gateway."""
    folder = tmp_path_factory.mktemp("provider")
    with gated(mlflow.url, {"Authorization": f"Bearer {_TOKEN}", "X-Api-Key": _KEY}) as gate:
        env = {
            "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "FLOWGAUGE_ENVIRONMENTS": str(folder),
            "MLFLOW_TRACKING_URI": "",
            "PYTHONPATH": str(_HERE / "probe"),
            "VAULT": str(folder / "vault.json"),
        }
        dags = _HERE / "provider_dags"
        yield Site(airflow_home(folder / "airflow", dags, env=env, python=AIRFLOW_PYTHON), gate)


def test_airflow_takes_us_for_a_provider(site: Site) -> None:
    """Its schema is kept, the type has its hook and form, and nothing is warned of."""
    assert site.answer("describe_provider.py") == {
        "hook": ["MLflow", "mlflow_conn_id", True],
        "fields": {"extra__mlflow__token": True, "extra__mlflow__secret_headers": False},
        "hidden": ["extra"],
        "labels": {"schema": "Scheme"},
        "said": [],
    }


def test_the_command_knows_us(site: Site) -> None:
    """`airflow providers list` shows us, and `connections add` and `test` know the type.

    Where tasks then find MLflow is said by `flowgauge check`. Nothing prints a secret.
    """
    host, _, port = site.gate.removeprefix("http://").partition(":")
    options = {"type": "mlflow", "host": host, "port": port, "extra": json.dumps(_EXTRA)}
    add = [word for name, value in options.items() for word in (f"--conn-{name}", value)]
    commands = [
        ["providers", "list", "--output", "plain"],
        ["connections", "add", "mlflow_default", *add],
        ["connections", "test", "mlflow_default"],
    ]
    done = site.run("python", str(_HERE / "probe" / "commands.py"), json.dumps(commands))
    assert "\nflowgauge " in done
    assert "Connection success!" in done
    checked = site.run("flowgauge", "check", "--skip", "server-app", "--skip", "exporter")
    assert f"{site.gate}, from the Airflow Connection mlflow_default" in checked
    assert "MLflow allows API calls" in checked
    assert not [secret for secret in (_TOKEN, _KEY) if secret in done + checked]


@pytest.fixture(scope="module")
def written(site: Site) -> str:
    """What both DAGs logged at level DEBUG, their MLflow in a secrets backend.

    One waits for a rate limit: it finds the window full, which is emptied for whoever waits.
    """
    kept = {
        "mlflow_default": {"conn_type": "mlflow", "host": site.gate, "extra": _EXTRA},
        "mlflow_wrong": {
            "conn_type": "mlflow",
            "host": site.gate,
            "login": "me",
            "password": _PASSWORD,
            "extra": _EXTRA,
        },
    }
    Path(site.env["VAULT"]).write_text(json.dumps(kept))
    env = {
        **site.env,
        "AIRFLOW__SECRETS__BACKEND": "vault.Vault",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
    }
    site = replace(site, env=env)
    with closing(open_store(site.env["FLOWGAUGE_STORE"], timeout_seconds=60)) as store:
        store.windows.acquire("waits", "ours", 1, 3600, 0)
        # In one process, which takes its time to load Airflow.
        running = in_background(lambda: site.run_dags("from_vault", "waits"), "both")
        while not running.done():
            for each in store.windows.states():
                # Once for each: after the reset the window is empty until it has its turn.
                if each.key == "waits" and each.waiting and each.window_calls:
                    store.windows.reset("waits")
            wait([running], timeout=0.5)
    return running.result()


def test_a_secrets_backend_may_hold_it_all(site: Site, written: str, mlflow: MlflowServer) -> None:
    """URI, login, token and headers come from there, and not one of them gets into a log.

    Not even at level DEBUG, with a login that is refused by a gateway that repeats it.
    """
    secrets = {_TOKEN, _KEY, _PASSWORD, b64encode(f"me:{_PASSWORD}".encode()).decode()}
    home = Path(site.env["AIRFLOW_HOME"])
    logs = [written, *(log.read_text() for log in home.rglob("*.log"))]
    # At this level, Airflow 3 itself writes what it tells itself to mask.
    lines = [line for log in logs for line in log.splitlines() if "MaskSecret(" not in line]
    assert not [line for line in lines if any(secret in line for secret in secrets)]
    client = MlflowClient(mlflow.url)
    experiment = client.get_experiment_by_name("from a vault")
    assert experiment
    found = client.search_runs([experiment.experiment_id])
    # The call with the right login, after the refused one, sends what that one left behind.
    assert sorted(run.data.metrics["rows"] for run in found) == [1, 2, 3]


def test_sensors_wait_for_the_rate_limit(site: Site, written: str) -> None:
    """One that is deferrable waits in the triggerer, the other in its worker; both take calls."""
    with closing(open_store(site.env["FLOWGAUGE_STORE"], timeout_seconds=60)) as store:
        (limit,) = [each for each in rate_limits(store) if each["key"] == "waits"]
    assert "deferred for" in written
    assert (limit["calls"], limit["hits"]) == (3, 2)
