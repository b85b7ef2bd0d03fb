"""What is in MLflow's database, as the server counts it."""

import importlib
import os
import shutil
import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow.entities import RunStatus
from mlflow.entities.model_registry import RegisteredModelTag
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking
from prometheus_client import CollectorRegistry, Counter, generate_latest

from flowgauge.errors import UsageError
from flowgauge.server.containment import Containment
from flowgauge.server.inventory import InventoryPage, count, inventory_seconds, pause_seconds
from flowgauge.server.metrics_folder import INVENTORY, INVENTORY_DRAFT
from flowgauge.server.mlflow_host import JOB_STATUSES
from stack.mlflow import MlflowServer
from stack.process import wait_for
from tests.server.scrape import scrape


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, and the default experiment in it."""
    file = tmp_path_factory.mktemp("inventory") / "mlflow.db"
    Tracking(f"sqlite:///{file}", "artifacts")
    return file


@pytest.fixture
def uri(empty: Path, folder: Path) -> str:
    """A database of the test's own."""
    return f"sqlite:///{shutil.copy(empty, folder / 'mlflow.db')}"


@pytest.fixture
def jobs(uri: str) -> Any:
    """MLflow's own door to its jobs, which the oldest versions lack."""
    store = importlib.import_module("mlflow.store.jobs.sqlalchemy_store")
    return store.SqlAlchemyJobStore(uri)


@pytest.fixture
def tracking(uri: str, folder: Path) -> Tracking:
    """MLflow's own door to the tracking database."""
    return Tracking(uri, str(folder / "artifacts"))


def _shown(folder: Path, databases: Mapping[str, str]) -> CollectorRegistry:
    count(folder, databases)
    return _page(folder)


def _page(folder: Path) -> CollectorRegistry:
    failed = Counter("faults", "Faults.", registry=None)
    registry = CollectorRegistry()
    registry.register(InventoryPage(folder, Containment(failed)))
    return registry


def _run(tracking: Tracking, experiment: str) -> str:
    started = tracking.create_run(experiment, "airflow", 0, [], "run")
    return str(started.info.run_id)


def test_experiments_and_runs_are_counted_by_what_became_of_them(
    tracking: Tracking, uri: str, folder: Path
) -> None:
    """Active and in the trash, and runs by status too."""
    kept, dropped = (tracking.create_experiment(uuid.uuid4().hex) for _ in range(2))
    ended, deleted, _ = (_run(tracking, kept) for _ in range(3))
    tracking.update_run_info(ended, RunStatus.FINISHED, 1, None)
    tracking.delete_run(deleted)
    _run(tracking, dropped)
    tracking.delete_experiment(dropped)
    shown = _shown(folder, {"tracking": uri})
    stages = {
        stage: shown.get_sample_value("mlflow_experiments", {"lifecycle_stage": stage})
        for stage in ("active", "deleted")
    }
    assert stages == {"active": 2, "deleted": 1}
    runs = {
        labels: shown.get_sample_value(
            "mlflow_runs", dict(zip(("lifecycle_stage", "status"), labels, strict=True))
        )
        for labels in (("active", "FINISHED"), ("active", "RUNNING"), ("deleted", "RUNNING"))
    }
    assert runs == {
        ("active", "FINISHED"): 1, ("active", "RUNNING"): 1, ("deleted", "RUNNING"): 2
    }  # fmt: skip
    assert shown.get_sample_value("mlflow_traces") == 0
    assert shown.get_sample_value("mlflow_registered_models") is None


def test_models_are_counted_without_prompts(uri: str, folder: Path) -> None:
    """Models, versions by stage, aliases; no version that was deleted, and no prompt."""
    registry = Registry(uri)
    for name, versions in (("churn", 3), ("price", 1)):
        registry.create_registered_model(name)
        for _ in range(versions):
            registry.create_model_version(name, "s3://models/1")
    registry.transition_model_version_stage(
        "churn", "1", "Production", archive_existing_versions=False
    )
    registry.delete_model_version("churn", "3")
    registry.set_registered_model_alias("churn", "champion", "2")
    registry.set_registered_model_alias("price", "champion", "1")
    prompt = [RegisteredModelTag("mlflow.prompt.is_prompt", "true")]
    registry.create_registered_model("greeting", prompt)
    registry.create_model_version("greeting", "prompt")
    shown = _shown(folder, {"registry": uri})
    assert shown.get_sample_value("mlflow_registered_models") == 2
    assert shown.get_sample_value("mlflow_model_versions", {"stage": "None"}) == 2
    assert shown.get_sample_value("mlflow_model_versions", {"stage": "Production"}) == 1
    assert shown.get_sample_value("mlflow_model_versions", {"stage": "Deleted_Internal"}) is None
    assert shown.get_sample_value("mlflow_model_aliases", {"alias": "champion"}) == 2


def test_aliases_of_strangers_do_not_fill_the_labels(uri: str, folder: Path) -> None:
    """The 20 most used have labels of their own, the others are counted together."""
    registry = Registry(uri)
    for number in range(2):
        registry.create_registered_model(f"many {number}")
        registry.create_model_version(f"many {number}", "s3://models/1")
        for alias in range(25 if number else 20):
            registry.set_registered_model_alias(f"many {number}", f"alias{alias}", "1")
    shown = _shown(folder, {"registry": uri})
    aliases = {
        sample.labels["alias"]: sample.value
        for family in shown.collect()
        for sample in family.samples
        if sample.name == "mlflow_model_aliases"
    }
    assert len(aliases) == 21
    assert aliases["other"] == 5
    assert aliases["alias0"] == 2


@pytest.mark.since(mlflow="3.9")
def test_jobs_are_counted_by_name_and_status(jobs: Any, uri: str, folder: Path) -> None:
    """Every status that there is, also those of no job; and since when one is pending."""
    ended, failed, *waiting = (jobs.create_job("score", "{}").job_id for _ in range(4))
    jobs.start_job(ended)
    jobs.finish_job(ended, "{}")
    jobs.start_job(failed)
    jobs.fail_job(failed, "no such model")
    shown = _shown(folder, {"tracking": uri})
    counted = {
        status: shown.get_sample_value("mlflow_jobs", {"job_name": "score", "status": status})
        for status in JOB_STATUSES
    }
    assert counted == {
        **dict.fromkeys(JOB_STATUSES, 0), "PENDING": 2, "SUCCEEDED": 1, "FAILED": 1
    }  # fmt: skip
    oldest = "mlflow_jobs_oldest_pending_timestamp_seconds"
    since = jobs.get_job(waiting[0]).creation_time / 1000
    assert shown.get_sample_value(oldest, {"job_name": "score"}) == since
    jobs.start_job(waiting[0])
    jobs.cancel_job(waiting[1])
    assert _shown(folder, {"tracking": uri}).get_sample_value(oldest, {"job_name": "score"}) is None


@pytest.mark.since(mlflow="3.9")
@pytest.mark.parametrize(
    ("change", "known"),
    [
        ("ALTER TABLE jobs RENAME COLUMN job_name TO function_fullname", True),
        ("DROP TABLE jobs", False),
    ],
)
def test_an_older_mlflow_knows_jobs_by_their_function_or_none(
    jobs: Any, uri: str, folder: Path, change: str, known: bool
) -> None:
    """What it lacks costs nothing else."""
    jobs.create_job("score", "{}")
    with sqlite3.connect(folder / "mlflow.db") as database:
        database.execute("DROP TABLE IF EXISTS job_locks")
        database.execute(change)
    shown = _shown(folder, {"tracking": uri})
    pending = shown.get_sample_value("mlflow_jobs", {"job_name": "score", "status": "PENDING"})
    assert pending == (1 if known else None)
    assert shown.get_sample_value("mlflow_traces") == 0


@pytest.mark.parametrize(
    "content",
    [
        *("", "x", "[]", "{}", "[" * 100_000, '{"counts": []}', '{"counts": {}, "at": "x"}'),
        *(
            f'{{"counts": {{"mlflow_experiments": {rows}}}, "at": 1}}'
            for rows in ("1", "[1]", "[[]]", '[["active", null]]', "[[1, 2]]", '[["\\ud800", 1]]')
        ),
    ],
)
def test_a_malformed_file_takes_no_page_away(folder: Path, content: str) -> None:
    """It costs its own figures."""
    (folder / INVENTORY).write_text(content)
    assert b"# TYPE mlflow_experiments gauge\n" in generate_latest(_page(folder))


def test_what_is_no_file_is_neither_waited_for_nor_followed(uri: str, folder: Path) -> None:
    """A pipe in the place of the figures, and a link in that of their draft."""
    os.mkfifo(folder / INVENTORY)
    assert b"# TYPE mlflow_experiments gauge\n" in generate_latest(_page(folder))
    precious = folder / "precious"
    precious.write_bytes(b"not ours")
    (folder / INVENTORY_DRAFT).symlink_to(precious)
    assert _shown(folder, {"tracking": uri}).get_sample_value("mlflow_traces") == 0
    assert precious.read_bytes() == b"not ours"


def test_what_is_no_database_is_not_counted(folder: Path) -> None:
    """A MLflow that keeps runs in files has no inventory, not one of nothing."""
    shown = _shown(folder, {"tracking": str(folder), "registry": "databricks-uc"})
    assert [sample.name for family in shown.collect() for sample in family.samples] == [
        "mlflow_inventory_read_timestamp_seconds"
    ]


@pytest.mark.parametrize("said", ["often", "-1", "1.5"])
def test_a_wrong_interval_is_one_sentence(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what may stand there."""
    monkeypatch.setenv("FLOWGAUGE_INVENTORY_SECONDS", said)
    with pytest.raises(
        UsageError, match=r"FLOWGAUGE_INVENTORY_SECONDS is '.*': give a whole number"
    ):
        inventory_seconds()


@pytest.mark.parametrize(
    ("took", "before", "pause"),
    [(0.1, 0, 60), (30, 0, 60), (30, 0.1, 60), (2, 3, 200), (3, 2, 200), (90, 99, 3600)],
)
def test_a_count_that_was_slow_by_chance_does_not_make_the_next_rare(
    took: float, before: float, pause: float
) -> None:
    """A database pays a hundredth of its time, an hour apart at most, where two counts say so."""
    assert pause_seconds(took, before, 60) == pause
    assert pause_seconds(took, before, 9000) == 9000


def test_one_worker_counts_for_all_and_goes_on(measured: MlflowServer) -> None:
    """Whichever worker is scraped shows the same count, of one moment, and later a newer one."""

    def active() -> float:
        return scrape(measured.url).value("mlflow_experiments", lifecycle_stage="active")

    wait_for(lambda: active() >= 1, "it was counted")
    read = "mlflow_inventory_read_timestamp_seconds"
    times = [value for _ in range(20) for _, value in scrape(measured.url).series(read)]
    assert len(times) == 20
    assert times == sorted(times)
    before = active()
    name = {"name": uuid.uuid4().hex}
    create = f"{measured.url}/api/2.0/mlflow/experiments/create"
    httpx.post(create, json=name, timeout=30).raise_for_status()
    wait_for(lambda: active() > before, "the new one is counted", timeout=300, interval=0.5)
