"""The commands, as an operator types them."""

import json
import signal
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime

import pytest
from mlflow import MlflowClient

from flowgauge.airflow import log_with_mlflow
from flowgauge.store import open_store
from stack.process import python_tool, wait_for
from tests.airflow.conftest import Surroundings

pytestmark = pytest.mark.whole_system(seconds=20)

_NOBODY = "http://127.0.0.1:9"
_NO_SUCH_ENTRY = "a1b2c3"
_DAY_MS = 24 * 60 * 60 * 1000


def _flowgauge(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [python_tool("flowgauge"), *arguments]
    return subprocess.run(command, input=typed, capture_output=True, text=True, check=False)


@pytest.fixture
def refused(surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of an entry that was set aside: its experiment is in MLflow's trash."""
    client = MlflowClient(surroundings.mlflow_url)
    client.delete_experiment(client.create_experiment(surroundings.experiment))
    with monkeypatch.context() as outage:
        outage.setenv("MLFLOW_TRACKING_URI", _NOBODY)
        log_with_mlflow({"rows": 1}, experiment=surroundings.experiment)
    assert surroundings.flush().set_aside == 1
    return surroundings.outbox()[0].entry_id


@pytest.mark.parametrize(
    ("allowed", "outlook"),
    [
        (6_000, "at 600 a minute, which is the rate limit, the last is sent in 0s:"),
        (6_000, "in the last window there were 2 a minute, and at that pace it would take 2m"),
        (20, "at 2 a minute, which is the rate limit, the last is sent in 2m:"),
        (10**6, "at 2 a minute, as of late, below the rate limit, the last is sent in 2m:"),
    ],
)
def test_the_list_says_when_all_is_sent(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, allowed: int, outlook: str
) -> None:
    """By the rate limit; where less was sent of late, by that too, or alone if no relay is so fast.

    Nothing is said of a pace of late that is the limit's.
    """
    limits = {"mlflow_api": {"max_calls": allowed, "window_seconds": 600}}
    monkeypatch.setenv("FLOWGAUGE_RATE_LIMITS", json.dumps(limits))
    with closing(open_store(timeout_seconds=60)) as store:
        for number in range(20):
            store.windows.acquire("mlflow_api", f"sent {number}", allowed, 600, 0)
    for _ in range(5):
        log_with_mlflow({"rows": 1}, experiment=surroundings.experiment, delivery="later")
    listed = _flowgauge("outbox", "list").stdout
    assert outlook in listed
    assert ("in the last window" in listed) == (allowed == 6_000)


def test_outbox_from_full_to_empty(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`outbox list` shows what waits, `flush` sends it, and then there is nothing left."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _NOBODY)
    log_with_mlflow({"rows": 1}, experiment=surroundings.experiment)
    (kept,) = surroundings.outbox()

    store, header, listed, outlook = _flowgauge("outbox", "list").stdout.splitlines()
    since = datetime.fromtimestamp(kept.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert store == f"store: sqlite:///{surroundings.folder}/store.db (FLOWGAUGE_STORE)"
    assert header.split() == [
        *("ID", "DAG", "TASK", "SINCE", "AGE", "ATTEMPTS", "REASON", "SENT", "IN", "SET", "ASIDE"),
    ]
    # How old it is, and when it is its turn at the pace of late, differ by how long calls took.
    age, due = listed.split()[2], listed.split()[-1]
    assert listed.split() == [kept.entry_id, since, age, "1", "unreachable", due]
    assert age.removesuffix("s").isdecimal()
    assert outlook.startswith("1 wait; at ")
    assert f"the last is sent in {due}:" in outlook
    (entry,) = json.loads(_flowgauge("outbox", "list", "--output", "json", "--bodies").stdout)
    assert json.loads(entry["body"])["metrics"] == {"rows": 1.0}

    sent = _flowgauge("outbox", "flush", "--mlflow-uri", surroundings.mlflow_url)
    assert (sent.returncode, sent.stdout) == (0, "sent 1, set aside 0, still waiting 0\n")
    assert _flowgauge("outbox", "list").stdout.endswith("\nthe outbox is empty\n")


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["list", "--output", "json"], ["retry", "--all"], ["drop", "--yes", _NO_SUCH_ENTRY]],
)
def test_looking_makes_no_store(surroundings: Surroundings, arguments: list[str]) -> None:
    """Asked for a store that is not there, `outbox` makes none."""
    before = sorted(surroundings.folder.rglob("*"))
    _flowgauge("outbox", *arguments)
    assert sorted(surroundings.folder.rglob("*")) == before


def test_a_store_that_is_not_there_is_told(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks into the wrong place reads which place it was, and that nothing is there."""
    monkeypatch.delenv("FLOWGAUGE_STORE")
    path = surroundings.folder / "flowgauge.db"
    told = f"store: sqlite:///{path} (the default, FLOWGAUGE_STORE is not set); there is no such"
    assert _flowgauge("outbox", "list").stdout.startswith(told)
    as_json = _flowgauge("outbox", "list", "--output", "json")
    assert (as_json.stdout, as_json.stderr.startswith(told)) == ("[]\n", True)


def test_list_shows_the_spool(surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in files, and what is no payload there, is under the list."""
    with monkeypatch.context() as outage:
        outage.setenv("MLFLOW_TRACKING_URI", _NOBODY)
        outage.setenv("FLOWGAUGE_STORE", "redis://127.0.0.1:9/0")
        log_with_mlflow({"rows": 1}, experiment=surroundings.experiment)
    spool = surroundings.folder / "flowgauge-spool"
    (spool / "meddled.bad").touch()
    listed = _flowgauge("outbox", "list").stdout
    assert f"1 more in {spool}, until the store takes them" in listed
    assert f"1 files in {spool} are no payloads" in listed


def test_watch_shows_it_anew_until_it_is_stopped(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`outbox list --watch` shows what comes in meanwhile, and ends well with Ctrl-C."""
    page = surroundings.folder / "page"
    with page.open("w") as output:
        # What a shell starts in the background ignores Ctrl-C, and so do its children.
        heeding = ["env", "--default-signal=INT"]
        command = [*heeding, python_tool("flowgauge"), "outbox", "list", "--watch"]
        watching = subprocess.Popen(command, stdout=output)
        wait_for(lambda: "the outbox is empty" in page.read_text(), "the empty outbox")
        log_with_mlflow({"rows": 1}, delivery="later")
        wait_for(lambda: "1 wait; at" in page.read_text(), "what came in")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 0
    assert _flowgauge("outbox", "list", "--watch", "--output", "json").returncode == 2


def test_flush_says_what_is_wrong(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush that MLflow ends exits with 1 and one sentence, after what it did achieve."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _NOBODY)
    log_with_mlflow({"rows": 1}, experiment=surroundings.experiment)
    flushed = _flowgauge("outbox", "flush", "--output", "json")
    assert flushed.returncode == 1
    assert json.loads(flushed.stdout) == {"sent": 0, "set_aside": 0, "waiting": 1}
    assert flushed.stderr.startswith("flowgauge: the flush ended early: MLflow at")
    assert flushed.stderr.count("\n") == 1


@pytest.mark.parametrize("by", ["its id", "--all"])
def test_retry_sends_what_was_refused_once_the_reason_is_cured(
    surroundings: Surroundings, refused: str, by: str
) -> None:
    """After `outbox retry` the payload is sent with the next flush."""
    client = MlflowClient(surroundings.mlflow_url)
    experiment = client.get_experiment_by_name(surroundings.experiment)
    assert experiment
    client.restore_experiment(experiment.experiment_id)
    retried = _flowgauge("outbox", "retry", refused if by == "its id" else "--all")
    assert (retried.returncode, retried.stdout) == (0, "put back 1\n")
    assert surroundings.flush().sent == 1
    assert [run.data.metrics for run in surroundings.runs()] == [{"rows": 1}]
    assert _flowgauge("outbox", "retry", "--all").stdout == "put back 0\n"


@pytest.mark.parametrize("arguments", [["retry"], ["retry", "--all", _NO_SUCH_ENTRY], ["drop"]])
def test_what_to_retry_or_drop_must_be_said(
    surroundings: Surroundings, arguments: list[str]
) -> None:
    """No id at all, or ids beside --all, is wrong usage."""
    assert _flowgauge("outbox", *arguments).returncode == 2


def test_drop_asks_first(surroundings: Surroundings, refused: str) -> None:
    """`outbox drop` removes an entry after a yes, typed or given, and keeps it otherwise."""
    for typed in ("", "n\n"):
        assert _flowgauge("outbox", "drop", refused, typed=typed).returncode == 1
    assert len(surroundings.outbox()) == 1
    assert _flowgauge("outbox", "drop", refused, typed="y\n").stdout.endswith("removed 1\n")
    assert surroundings.outbox() == []


@pytest.mark.parametrize(
    ("arguments", "done", "problem"),
    [
        (["retry"], "put back 1\n", "not set aside in this outbox"),
        (["drop", "--yes"], "removed 1\n", "not in this outbox"),
    ],
)
def test_unknown_entries_are_named(
    surroundings: Surroundings, refused: str, arguments: list[str], done: str, problem: str
) -> None:
    """Ids that are not there are one sentence and exit code 1; the others are done."""
    told = _flowgauge("outbox", *arguments, _NO_SUCH_ENTRY, refused, "ffff")
    assert (told.returncode, told.stdout) == (1, done)
    sentence = f"{problem}: {_NO_SUCH_ENTRY}, ffff; see `flowgauge outbox list`"
    assert told.stderr == f"flowgauge: {sentence}\n"


def test_store_that_is_none_is_one_sentence(surroundings: Surroundings) -> None:
    """A wrong store URL is one sentence, not a traceback."""
    listed = _flowgauge("outbox", "list", "--store", "mysql://user:s3cret@db/x")
    assert listed.returncode == 1
    assert listed.stderr.startswith("flowgauge: mysql://user:***@db/x is no store")
    assert listed.stderr.count("\n") == 1


def test_close_stale_closes_what_nobody_finishes(surroundings: Surroundings) -> None:
    """`runs close-stale` closes runs of DAGs that are RUNNING for too long, and no others."""
    client = MlflowClient(surroundings.mlflow_url)
    experiment = client.create_experiment(surroundings.experiment)
    old = int(time.time() * 1000) - 2 * _DAY_MS
    dag = {"airflow.dag_id": "killed"}
    stale = client.create_run(experiment, start_time=old, tags=dag).info.run_id
    young = client.create_run(experiment, tags=dag).info.run_id
    notebook = client.create_run(experiment, start_time=old).info.run_id
    closed = _flowgauge("runs", "close-stale", "--output", "json")
    assert closed.returncode == 0
    assert stale in json.loads(closed.stdout)["closed"]
    statuses = [client.get_run(run_id).info.status for run_id in (stale, young, notebook)]
    assert statuses == ["KILLED", "RUNNING", "RUNNING"]
    assert _flowgauge("runs", "close-stale").stdout == "runs closed: 0\n"


def test_close_stale_wants_a_time_above_zero(surroundings: Surroundings) -> None:
    """A wrong option is wrong usage: exit code 2."""
    assert _flowgauge("runs", "close-stale", "--older-than-hours", "0").returncode == 2
