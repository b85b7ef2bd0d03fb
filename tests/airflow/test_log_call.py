import json
import logging
import math
import stat
import time
from contextlib import closing
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from flowgauge.airflow import PayloadError, connection, log_with_mlflow
from flowgauge.metrics import DAG_LOGS
from flowgauge.store import Count, NewEntry, OutboxEntry, open_store
from flowgauge.store.sqlite.recovery import recover
from stack.guarded import GuardedMlflow
from tests.airflow.conftest import Surroundings
from tests.airflow.faulty_mlflow import silent_server
from tests.airflow.loading import modules_after

# Nothing listens on the discard port of loopback.
_NOBODY = "http://127.0.0.1:9"
# What a busy machine may add to a budget.
_SLACK = 5.0


def test_payload_becomes_one_finished_run(surroundings: Surroundings) -> None:
    """One call leaves one finished run: figures as metrics, facts as parameters, tags, times."""
    before = time.time() * 1000
    run_id = log_with_mlflow(
        {
            "rows": np.int64(442),
            "null_rate": 0.25,
            "checksum": 2**64 - 1,
            "metrics": {"mean bmi": 26.4},
            "params": {"columns": ["age", "bmi"], "note": None, "clean": True},
        },
        run_name="täglich",
        experiment=surroundings.experiment,
        tags={"team": "data", "chunk": 3},
    )
    (run,) = surroundings.runs()
    assert run.info.run_id == run_id
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "täglich"
    assert before - 1 <= run.info.start_time <= run.info.end_time <= time.time() * 1000
    assert run.data.metrics == {"rows": 442, "null_rate": 0.25, "mean bmi": 26.4}
    assert run.data.params == {
        "checksum": "18446744073709551615",
        "columns": '["age", "bmi"]',
        "note": "None",
        "clean": "True",
    }
    assert run.data.tags["team"] == "data"
    assert run.data.tags["chunk"] == "3"
    assert not any(name.startswith("airflow.") for name in run.data.tags)


def test_a_first_call_loads_no_more_than_it_needs(surroundings: Surroundings) -> None:
    """Sent at once, too, and with rate limits in an environment's file: it takes a task's time."""
    call = (
        "from flowgauge.airflow import log_with_mlflow\n"
        f"assert log_with_mlflow({{'rows': 1}}, experiment={surroundings.experiment!r})"
    )
    loaded = modules_after(call)
    assert "flowgauge.environment.rate_limits" in loaded
    assert not loaded & {
        *("difflib", "mlflow", "numpy", "psycopg", "redis"),
        "flowgauge.airflow.client",
        "flowgauge.environment.model",
        "flowgauge.store.from_0_1",
        "flowgauge.store.sqlite.from_0_1",
        "flowgauge.store.sqlite.recovery",
        "flowgauge.store.sqlite.risks",
    }


def test_four_requests_then_three(
    surroundings: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    """A log call is four requests, and three once the process knows the experiment's id."""
    log_with_mlflow({"rows": 1}, experiment=surroundings.experiment)
    # As in a new process.
    connection._connection.cache_clear()
    with caplog.at_level(logging.INFO, "httpx"):
        counts = []
        for _ in range(2):
            caplog.clear()
            log_with_mlflow({"rows": 1}, experiment=surroundings.experiment)
            counts.append(sum("HTTP Request" in line for line in caplog.messages))
    assert counts == [4, 3]


def test_what_arrives_is_counted(surroundings: Surroundings) -> None:
    """Every payload in MLflow counts one log, its rows, its nulls, and the time it took."""
    for rows in (10, 20):
        log_with_mlflow({"rows": rows, "null_rate": 0.5}, experiment=surroundings.experiment)
    (pair,) = surroundings.pairs()
    assert (pair.logs, pair.rows, pair.null_ratio, pair.failures) == (2, 30, 0.5, {})
    counts, seconds = surroundings.durations()[""]
    assert counts[-1] == 2
    assert seconds > 0


def test_awkward_payload_arrives(surroundings: Surroundings) -> None:
    """What MLflow takes arrives unchanged, the rest cut or renamed, which is said and counted."""
    payload: dict[str, Any] = {
        "null_rate": math.nan,
        "metrics": {"up": math.inf, "ünï": 1, "a//b": 2, **{f"m{i}": i for i in range(1500)}},
        "params": {"long": "x" * 7000, "nul": "a\0b", "": 1, **{f"p{i}": i for i in range(250)}},
    }
    tags = {f"t{i}": "y" * 10 for i in range(300)}
    log_with_mlflow(payload, "n" * 300, surroundings.experiment, tags)
    (run,) = surroundings.runs()
    assert len(run.data.metrics) == 1504
    assert math.isnan(run.data.metrics["null_rate"])
    assert run.data.metrics["up"] > 1e308
    assert run.data.metrics["ünï"] == 1
    assert run.data.metrics["a_/b"] == 2
    assert len(run.data.params) == 253
    assert run.data.params["long"] == "x" * 6000
    assert run.data.params["nul"] == "a\N{REPLACEMENT CHARACTER}b"
    assert run.data.params["_"] == "1"
    assert run.info.run_name == "n" * 250
    assert "param 'long' cut from 7000 to 6000 characters" in run.data.tags["flowgauge.altered"]
    assert surroundings.pairs()[0].altered == 1


@pytest.mark.parametrize("store", ["sqlite:///{}/store.db", "redis://127.0.0.1:9/0"])
def test_alteration_is_counted_once_however_late_it_arrives(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    """A payload that was cut counts once, also by way of the outbox, and of a file before that."""
    with monkeypatch.context() as outage:
        outage.setenv("MLFLOW_TRACKING_URI", _NOBODY)
        outage.setenv("FLOWGAUGE_STORE", store.format(surroundings.folder))
        log_with_mlflow({"params": {"sql": "x" * 7000}}, experiment=surroundings.experiment)
        log_with_mlflow({"params": {"sql": "x"}}, experiment=surroundings.experiment)
    assert surroundings.flush().sent == 2
    (pair,) = surroundings.pairs()
    assert (pair.logs, pair.deferred, pair.altered) == (2, 2, 1)


class _Unwritable:
    """Has no text."""

    def __repr__(self) -> str:
        raise ValueError


def test_a_bad_value_costs_itself(
    surroundings: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest becomes a run, whose tag says what was left out; the log and the counts do too."""
    payload = {
        "rows": 10**20,
        "accuracy": 0.9,
        "loss": [3, 2.5, None, 1],
        "nulls": pd.Series({"age": 0.5, "bmi": pd.NA}),
        "metrics": {"best": "xgb", "passed": True},
        "params": {"mute": _Unwritable(), "model": {"by": "xgb", "depth": np.int8(3)}},
    }
    tags = {"day": date(2025, 1, 15), "share": Decimal("0.5"), "mute": _Unwritable()}
    tags |= {1: "first", "1": "second"}  # type: ignore[dict-item]
    log_with_mlflow(payload, _Unwritable(), surroundings.experiment, tags)  # type: ignore[arg-type]
    (run,) = surroundings.runs()
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"accuracy": 0.9, "loss": 1, "nulls.age": 0.5, "passed": 1}
    assert run.data.params == {"model": '{"by": "xgb", "depth": 3}'}
    assert (run.data.tags["day"], run.data.tags["share"]) == ("2025-01-15", "0.5")
    history = MlflowClient(surroundings.mlflow_url).get_metric_history(run.info.run_id, "loss")
    assert sorted((each.step, each.value) for each in history) == [(0, 3), (1, 2.5), (3, 1)]
    said = run.data.tags["flowgauge.altered"]
    for what in (
        "rows",
        "metrics['best']",
        "params['mute']",
        "tags['mute']",
        "tags['1']",
        "run_name",
    ):
        assert f"left out: {what} " in said
        assert what in caplog.text
    (pair,) = surroundings.pairs()
    assert (pair.logs, pair.altered, pair.failures) == (1, 1, {"invalid_value": 1})


def test_strict_raises_what_would_be_left_out(surroundings: Surroundings) -> None:
    """With `strict`, a bad value, a mistyped field or no payload raises, and nothing is logged."""
    for payload in ({"rows": -1}, {"null_rat": 0.5}, None):
        with pytest.raises(PayloadError):
            log_with_mlflow(payload, experiment=surroundings.experiment, strict=True)  # type: ignore[arg-type]
    with pytest.raises(PayloadError, match="tags must map names to values"):
        log_with_mlflow({"rows": 1}, tags=["a"], strict=True)  # type: ignore[arg-type]
    assert (surroundings.runs(), surroundings.outbox()) == ([], [])


def test_what_is_no_payload_is_set_aside(
    surroundings: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not fail the task: it is named in the log, counted, and kept in the outbox."""
    assert log_with_mlflow("rows=3", experiment=surroundings.experiment) is None  # type: ignore[arg-type]
    assert "it must be a mapping, not a text" in caplog.text
    assert surroundings.failures() == {"invalid_payload": 1}
    assert surroundings.runs() == []
    (kept,) = surroundings.outbox()
    assert kept.poison == "the payload is invalid: it must be a mapping, not a text"
    assert "rows=3" in kept.body


def test_an_entry_of_0_1_is_sent(surroundings: Surroundings) -> None:
    """What 0.1 left in the outbox arrives, also with more rows than can be counted."""
    with closing(open_store()) as store:
        body = {
            "version": 1,
            "dag_id": "etl",
            "task_id": "load",
            "logged_ms": 1_736_899_200_000,
            "experiment": surroundings.experiment,
            "run_name": "old",
            "metrics": {"rows": 1e19},
            "params": {"a": "b"},
            "tags": {},
            "rows": 10**19,
            "null_rate": None,
            "altered": False,
            "log_id": "0" * 32,
        }
        store.outbox.put(NewEntry("0" * 32, "etl", "load", json.dumps(body), "unreachable"))
    assert surroundings.flush().sent == 1
    (run,) = surroundings.runs()
    assert run.data.metrics == {"rows": 1e19}
    assert surroundings.pairs()[0].rows == 2**53


def test_an_entry_that_needs_nothing_new_is_one_of_0_1(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks of both versions may share an outbox: 0.1 can send what it could have logged."""
    monkeypatch.setenv("FLOWGAUGE_DELIVERY", "later")
    log_with_mlflow({"rows": 1, "params": {"a": {"b": 1}}})
    log_with_mlflow({"loss": [1, 2]})
    versions = [json.loads(entry.body)["version"] for entry in surroundings.outbox()]
    assert versions == [1, 2]
    old = {
        *("version", "dag_id", "task_id", "logged_ms", "experiment", "run_name", "metrics"),
        *("params", "tags", "rows", "null_rate", "altered", "log_id"),
    }
    assert json.loads(surroundings.outbox()[0].body).keys() == old


@pytest.mark.parametrize(
    "arguments",
    [
        {"payload": None},
        {"payload": {"rows": 1}, "tags": ["a"]},
        {"payload": {"rows": 1}, "budget_seconds": -1},
        {"payload": {"rows": 1}, "budget_seconds": "much", "delivery": ["now"]},
        {"payload": {"rows": 1}, "experiment": _Unwritable(), "run_name": np.array([1, 2])},
        {"payload": _Unwritable()},
        {"payload": {"rows": 1}, "run_name": 3, "experiment": 4, "tags": {5: None}},
    ],
)
def test_wrong_arguments_raise_nothing(
    surroundings: Surroundings, arguments: dict[str, Any]
) -> None:
    """Whatever is passed in, the task goes on."""
    log_with_mlflow(**arguments)
    surroundings.flush()


def _wait(entry: OutboxEntry) -> None:
    """Let the clock move on, so that a time taken now differs from the entry's."""
    while time.time() <= entry.created + 0.01:
        time.sleep(0.005)


def test_payload_survives_an_outage(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is logged while MLflow is down arrives with a later call, with its original time."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _NOBODY)
    assert log_with_mlflow({"rows": 1}, "first", surroundings.experiment) is None
    (entry,) = surroundings.outbox()
    assert surroundings.failures() == {"unreachable": 1}
    _wait(entry)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", surroundings.mlflow_url)
    assert log_with_mlflow({"rows": 2}, "second", surroundings.experiment)
    runs = {run.info.run_name: run for run in surroundings.runs()}
    assert set(runs) == {"first", "second"}
    assert runs["first"].info.status == "FINISHED"
    assert runs["first"].info.start_time <= entry.created * 1000 < runs["second"].info.start_time
    assert surroundings.outbox() == []
    (pair,) = surroundings.pairs()
    assert (pair.logs, pair.deferred, pair.rows) == (2, 1, 3)


def test_a_call_for_later_only_writes_down(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With FLOWGAUGE_DELIVERY=later nothing is sent; `delivery` of the call has the last word."""
    monkeypatch.setenv("FLOWGAUGE_DELIVERY", "later")
    assert log_with_mlflow({"rows": 1}, experiment=surroundings.experiment) is None
    assert (len(surroundings.outbox()), surroundings.runs()) == (1, [])
    (pair,) = surroundings.pairs()
    assert (pair.logs, pair.deferred, pair.failures) == (0, 1, {})
    assert log_with_mlflow({"rows": 2}, experiment=surroundings.experiment, delivery="now")
    assert len(surroundings.runs()) == 2
    monkeypatch.setenv("FLOWGAUGE_DELIVERY", "tomorrow")
    assert log_with_mlflow({"rows": 3}, experiment=surroundings.experiment)
    assert "'tomorrow' is neither now nor later" in caplog.text


def test_a_call_for_later_is_sent_while_the_store_is_down(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be written down for later, the payload is sent at once."""
    monkeypatch.setenv("FLOWGAUGE_STORE", "redis://127.0.0.1:9/0")
    assert log_with_mlflow({"rows": 1}, experiment=surroundings.experiment, delivery="later")
    assert len(surroundings.runs()) == 1


def test_silent_mlflow_takes_no_more_than_the_budget(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that accepts and never answers holds the task no longer than the budget says."""
    with silent_server() as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        started = time.monotonic()
        assert log_with_mlflow({"rows": 1}, budget_seconds=2.5) is None
        assert time.monotonic() - started < 2.5 + _SLACK
    assert surroundings.failures() == {"unreachable": 1}


def test_a_budget_too_small_to_send_asks_nobody(
    surroundings: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    """A call whose budget leaves no time for MLflow writes its payload down, and says why."""
    assert log_with_mlflow({"rows": 1}, budget_seconds=1) is None
    assert "the time budget of the call is used up" in caplog.text
    assert surroundings.failures() == {"out_of_time": 1}
    assert surroundings.flush().sent == 1


@pytest.mark.parametrize("budget", [math.inf, 1e300])
def test_a_budget_without_end_is_one(surroundings: Surroundings, budget: float) -> None:
    """Who says so may wait for as long as anything can."""
    assert log_with_mlflow({"rows": 1}, budget_seconds=budget)
    assert surroundings.failures() == {}


def test_full_window_defers_instead_of_blocking(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twenty-first payload of a minute is put off, not waited for, and sent when it may be."""
    (surroundings.folder / "environments" / "plain.yaml").write_text(
        "domains: {mlflow: mlflow.example.com}\n"
    )
    monkeypatch.setenv("ENV", "plain")
    for number in range(20):
        assert log_with_mlflow({"rows": number}, experiment=surroundings.experiment)
    started = time.monotonic()
    assert log_with_mlflow({"rows": 20}, experiment=surroundings.experiment) is None
    assert time.monotonic() - started < 10 + _SLACK
    assert surroundings.failures() == {"rate_limited": 1}
    monkeypatch.setenv("ENV", "unlimited")
    assert surroundings.flush().sent == 1
    assert len(surroundings.runs()) == 21


def test_wrong_login_is_no_loss(
    surroundings: Surroundings, guarded: GuardedMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused login puts the payload off until the login is right."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", guarded.url)
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(guarded.certificate.cert))
    assert log_with_mlflow({"rows": 1}, experiment=surroundings.experiment) is None
    assert surroundings.failures() == {"unauthorized": 1}
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", guarded.user)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", guarded.password)
    assert surroundings.flush().sent == 1


def test_no_secret_is_logged(
    surroundings: Surroundings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password in the tracking URI reaches neither the log nor the outbox."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:s3cret@127.0.0.1:9")
    with caplog.at_level(logging.DEBUG):
        log_with_mlflow({"rows": 1})
    assert "s3cret" not in caplog.text
    assert "s3cret" not in surroundings.outbox()[0].body


def test_unusable_address_is_no_loss(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracking URI that cannot be used puts the payload off until it is corrected."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://")
    assert log_with_mlflow({"rows": 1}, experiment=surroundings.experiment) is None
    assert surroundings.failures() == {"misconfigured": 1}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", surroundings.mlflow_url)
    assert surroundings.flush().sent == 1


def test_store_down_does_not_stop_the_log(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its store the call still logs to MLflow, within its budget."""
    monkeypatch.setenv("FLOWGAUGE_STORE", "redis://127.0.0.1:9/0")
    assert log_with_mlflow({"rows": 1}, experiment=surroundings.experiment)
    assert len(surroundings.runs()) == 1


def test_both_down_is_no_loss(surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """With MLflow and the store both down the payload waits in a file, and arrives once."""
    store = f"sqlite:///{surroundings.folder}/store.db"
    monkeypatch.setenv("FLOWGAUGE_STORE", "redis://127.0.0.1:9/0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _NOBODY)
    assert log_with_mlflow({"rows": 1}, experiment=surroundings.experiment) is None
    spool = surroundings.folder / "flowgauge-spool"
    (file,) = spool.glob("*.json")
    (spool / "meddled.json").write_text("not ours")
    monkeypatch.setenv("FLOWGAUGE_STORE", store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", surroundings.mlflow_url)
    assert surroundings.flush().sent == 1
    assert len(surroundings.runs()) == 1
    assert not file.exists()


def test_a_damaged_store_does_not_stop_the_log(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call still logs to MLflow; what MLflow does not take waits in a private file."""
    path = surroundings.folder / "damaged.db"
    url = f"sqlite:///{path}"
    with closing(open_store(url)) as store:
        store.counts.add(Count(DAG_LOGS, ("etl", "load")))
    content = path.read_bytes()[:4096].ljust(path.stat().st_size, b"\xa5")
    path.write_bytes(content)
    monkeypatch.setenv("FLOWGAUGE_STORE", url)
    assert log_with_mlflow({"rows": 2}, experiment=surroundings.experiment)
    with monkeypatch.context() as outage:
        outage.setenv("MLFLOW_TRACKING_URI", _NOBODY)
        assert log_with_mlflow({"rows": 3}, experiment=surroundings.experiment) is None
    assert path.read_bytes() == content
    spool = surroundings.folder / "flowgauge-spool"
    (file,) = spool.iterdir()
    assert [stat.S_IMODE(each.stat().st_mode) for each in (spool, file)] == [0o700, 0o600]
    assert recover(path)
    assert surroundings.flush().sent == 1
    assert {run.data.metrics["rows"] for run in surroundings.runs()} == {2, 3}


def test_nowhere_to_write_leaves_the_payload_in_the_log_on_request(
    surroundings: Surroundings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When even the file cannot be written, a log line holds the payload, if that is wanted."""
    (surroundings.folder / "flowgauge-spool").write_text("in the way")
    monkeypatch.setenv("FLOWGAUGE_STORE", "redis://127.0.0.1:9/0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _NOBODY)
    assert log_with_mlflow({"params": {"only": "here"}}) is None
    assert "it is lost, make room there" in caplog.text
    monkeypatch.setenv("FLOWGAUGE_LOG_PAYLOADS", "true")
    assert log_with_mlflow({"params": {"only": "here"}}) is None
    assert '\\"only\\": \\"here\\"' in caplog.text.replace("\\\\", "\\")


def test_other_stores_go_through_mlflows_client(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracking URI that is a database is served too, and knows an earlier attempt's run."""
    uri = f"sqlite:///{surroundings.folder}/mlflow.db"
    monkeypatch.chdir(surroundings.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    # The first contact makes the database.
    MlflowClient(uri).search_experiments()
    payload = {"rows": 1, "metrics": {"nan": math.nan}, "params": {"a": "b"}}
    run_id = log_with_mlflow(payload, "x", surroundings.experiment, budget_seconds=60)
    assert run_id
    run = MlflowClient(uri).get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["rows"] == 1
    assert run.data.params == {"a": "b"}


def test_login_plugin_goes_through_mlflows_client(
    surroundings: Surroundings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a login plugin is asked for, MLflow's own client sends, which knows how to load it."""
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "some-plugin")
    with caplog.at_level(logging.INFO, "httpx"), pytest.warns(UserWarning, match="some-plugin"):
        assert log_with_mlflow({"rows": 1}, experiment=surroundings.experiment)
    assert "HTTP Request" not in caplog.text
    assert len(surroundings.runs()) == 1
