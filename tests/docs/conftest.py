"""The system of the install page, its commands run as they stand, and all documented DAGs in it."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from flowgauge.assets import asset
from stack.airflow import airflow_home
from stack.dag_test import run_dags
from stack.process import answers, free_port, python_tool, running, wait_for
from stack.prometheus import Prometheus, prometheus
from stack.redis import LASTING, redis_server
from tests.docs import examples
from tests.documents import Block, blocks

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "guide.md"
GUIDE_IN_SPANISH = DOCS / "guide.es.md"
INSTALL = DOCS / "install.md"
OPERATE = DOCS / "operate.md"
README = DOCS.parent / "README.md"


@dataclass(frozen=True)
class System:
    """The running parts; a page's addresses are replaced by `addresses` before use."""

    folder: Path
    addresses: Mapping[str, str]
    env: Mapping[str, str]
    dag_runs: Mapping[str, str]
    before: examples.Trace
    prometheus: Prometheus

    def runs(self, name: str) -> list[Run]:
        """Return the MLflow runs that the guide's DAG, or the example's run, of that name left."""
        client = MlflowClient(self.env["MLFLOW_TRACKING_URI"])
        experiments = [each.experiment_id for each in client.search_experiments()]
        run_id = self.dag_runs[name]
        return list(client.search_runs(experiments, f"tags.`airflow.run_id` = '{run_id}'"))

    def bash(self, block: Block) -> "subprocess.CompletedProcess[str]":
        """Run a block of shell commands to the end."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", _translate(block.text, self.addresses)],
            env={**os.environ, **self.env},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Every server that the install page starts, every DAG of the guide, and the examples.

    It ends with the last test of this folder: scraped each few seconds, it costs while it runs.
    """
    folder = tmp_path_factory.mktemp("documents")
    mlflow, with_accounts, exporter = (str(free_port()) for _ in range(3))
    addresses = {"5000": mlflow, "5001": with_accounts, "9877": exporter}
    env = {
        "PATH": f"{Path(python_tool('flowgauge')).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with ExitStack() as parts:
        store = parts.enter_context(redis_server(folder / "redis", *LASTING))
        addresses["redis://127.0.0.1:6379/0"] = store
        # All at once: they wait for each other no longer than they must.
        urls = [
            parts.enter_context(_serving(block, folder, addresses, env))
            for block in blocks(INSTALL)
            if block.checked.startswith("serves ")
        ]
        scraped = parts.enter_context(
            prometheus(
                folder / "prometheus",
                {"mlflow": f"127.0.0.1:{mlflow}", "flowgauge": f"127.0.0.1:{exporter}"},
                rules=sorted(asset("alerts").glob("*.yaml")),
                # Each second, scrapes and rules would take a tenth of a processor for all of it.
                interval="3s",
            )
        )
        addresses["9090"] = scraped.url.rpartition(":")[2]
        env |= {
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{mlflow}",
            "FLOWGAUGE_STORE": store,
            "FLOWGAUGE_EXPORTER_URL": f"http://127.0.0.1:{exporter}",
        }
        dags = _write_dags(folder / "dags")
        env |= airflow_home(folder / "airflow", folder / "dags", env=env)
        for url in urls:
            wait_for(partial(answers, url), f"an answer from {url}", timeout=150)
        before = examples.prepare(env["MLFLOW_TRACKING_URI"], store)
        told = {
            "AIRFLOW_VAR_MLFLOW_TRACKING_URI": env["MLFLOW_TRACKING_URI"],
            "TMPDIR": str(folder),
        }
        # In one process, which takes its time to load Airflow, MLflow and scikit-learn.
        run_ids = run_dags({**env, **told}, folder / "dags", list(dags.values()))
        dag_runs = dict(zip(dags, run_ids, strict=True))
        yield System(folder, addresses, env, dag_runs, before, scraped)


@contextmanager
def _serving(
    block: Block, folder: Path, addresses: Mapping[str, str], env: Mapping[str, str]
) -> Iterator[str]:
    """Run a block that starts a server until the block ends; yield the URL it says it serves."""
    text = _translate(block.text, addresses)
    port = re.findall(r"(?:--port |listen-address 127\.0\.0\.1:)(\d+)", text)[0]
    home = folder / f"server-{port}"
    home.mkdir()
    command = ["bash", "-euc", text]
    with running(command, log=home / "log", env=env, cwd=home, ready=lambda: True):
        yield f"http://127.0.0.1:{port}{block.checked.removeprefix('serves ')}"


def _translate(text: str, addresses: Mapping[str, str]) -> str:
    for shown, real in addresses.items():
        text = re.sub(rf"(?<!\d){re.escape(shown)}(?!\d)", real, text)
    return text


def _write_dags(folder: Path) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Write all DAGs to files; return the DAG of each run and its configuration, by name."""
    shutil.copytree(examples.DAGS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    runs: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for block in blocks(GUIDE, language="python"):
        dag_id = re.findall(r"^(\w+)\(\)$", block.text, re.MULTILINE)[-1]
        (folder / f"{dag_id}.py").write_text(block.text)
        _, _, configuration = block.checked.partition(" with ")
        runs[dag_id] = (dag_id, json.loads(configuration or "{}"))
    return {**runs, **examples.RUNS}
