"""`flowgauge relay` empties the outbox, whether or not anybody logs."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flowgauge.airflow import log_with_mlflow
from flowgauge.metrics import RELAY_METRICS
from flowgauge.store import NewEntry, open_store
from stack.process import wait_for
from stack.proxy import proxy
from stack.relay import Relay, relay
from tests.airflow.conftest import Surroundings

pytestmark = pytest.mark.whole_system(seconds=150)

_NOBODY = "http://127.0.0.1:9"


def _leave(surroundings: Surroundings, count: int) -> None:
    for number in range(count):
        payload = {"metrics": {"number": number}}
        assert (
            log_with_mlflow(payload, experiment=surroundings.experiment, delivery="later") is None
        )


def _is_empty() -> bool:
    with closing(open_store(timeout_seconds=60)) as store:
        return store.outbox.state().entries == 0


def _is_past(moment: float) -> bool:
    return time.monotonic() > moment


def _sample(url: str, name: str) -> float:
    # Asked over and over: without certificates, which plain HTTP does not need.
    page = httpx.get(f"{url}/metrics", verify=False, timeout=30).text
    families = text_string_to_metric_families(page)
    (value,) = [
        sample.value for family in families for sample in family.samples if sample.name == name
    ]
    return value


@pytest.fixture
def relaying(surroundings: Surroundings) -> Iterator[Relay]:
    """A relay from the store to MLflow."""
    store = os.environ["FLOWGAUGE_STORE"]
    with relay(surroundings.folder, mlflow_uri=surroundings.mlflow_url, store=store) as running:
        yield running


def test_what_is_left_for_later_arrives(surroundings: Surroundings, relaying: Relay) -> None:
    """A call for later sends nothing; the relay makes its run, and the call is counted once."""
    _leave(surroundings, 3)
    wait_for(_is_empty, "the outbox is empty")
    runs = surroundings.runs()
    assert sorted(run.data.metrics["number"] for run in runs) == [0, 1, 2]
    assert {run.info.status for run in runs} == {"FINISHED"}
    (pair,) = surroundings.pairs()
    assert (pair.logs, pair.deferred, pair.failures) == (3, 3, {})
    wait_for(lambda: _sample(relaying.url, "flowgauge_relay_lag_seconds") == 0, "no lag")
    assert _sample(relaying.url, "flowgauge_relay_sent_total") == 3
    assert _sample(relaying.url, "flowgauge_relay_up") == 1


def test_the_page_is_what_the_table_says(relaying: Relay) -> None:
    """Every metric of the relay is there with its type and help; `/readyz` asks the store."""
    page = httpx.get(f"{relaying.url}/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(page)}
    for metric in RELAY_METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
    assert httpx.get(f"{relaying.url}/readyz").text == "ok\n"


def test_it_waits_for_mlflow_and_goes_on(surroundings: Surroundings) -> None:
    """While MLflow is away nothing is tried over and over; when it is back, all is sent."""
    _leave(surroundings, 3)
    store = os.environ["FLOWGAUGE_STORE"]
    with proxy(httpx.URL(surroundings.mlflow_url).port or 80) as way:
        way.cut()
        uri = f"http://127.0.0.1:{way.port}"
        with relay(surroundings.folder, mlflow_uri=uri, store=store) as running:
            wait_for(lambda: _sample(running.url, "flowgauge_relay_up") == 0, "MLflow is away")
            wait_for(lambda: _sample(running.url, "flowgauge_relay_lag_seconds") > 4, "some time")
            way.mend()
            wait_for(_is_empty, "the outbox is empty", timeout=240)
            sent = _sample(running.url, "flowgauge_relay_sent_total")
    assert (sent, sum(surroundings.failures().values())) == (3, 1)


def test_what_mlflow_refuses_for_good_is_set_aside(
    surroundings: Surroundings, relaying: Relay
) -> None:
    """An entry that cannot be sent holds up nothing else."""
    with closing(open_store(timeout_seconds=60)) as store:
        store.outbox.put(NewEntry("broken", "", "", "{"))
    _leave(surroundings, 1)
    wait_for(_is_empty, "the outbox is empty")
    assert [entry.entry_id for entry in surroundings.outbox()] == ["broken"]
    assert _sample(relaying.url, "flowgauge_relay_set_aside_total") == 1


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_nothing_held(
    surroundings: Surroundings, relaying: Relay, stop: signal.Signals
) -> None:
    """SIGTERM and Ctrl-C end it with 0; what it has not sent, another can claim at once."""
    _leave(surroundings, 20)
    relaying.process.send_signal(stop)
    assert relaying.process.wait(240) == 0
    assert "Traceback" not in relaying.log.read_text()
    waiting = len(surroundings.outbox())
    assert surroundings.flush(60).sent == waiting
    assert len(surroundings.runs()) == 20


def test_several_killed_at_random_send_each_once(surroundings: Surroundings) -> None:
    """Relays share the work; one that is killed in the middle of it loses and doubles nothing."""
    _leave(surroundings, 30)
    store = os.environ["FLOWGAUGE_STORE"]
    uri = surroundings.mlflow_url

    def sent(at_least: int) -> bool:
        return len(surroundings.outbox()) <= 30 - at_least

    folder = surroundings.folder
    with (
        relay(folder / "one", mlflow_uri=uri, store=store) as one,
        relay(folder / "two", mlflow_uri=uri, store=store) as two,
    ):
        wait_for(lambda: sent(3), "some are sent")
        one.process.kill()
        wait_for(lambda: sent(6), "more are sent")
        two.process.kill()
    # What a killed one held is free once its minute is over.
    with relay(folder / "three", mlflow_uri=uri, store=store):
        wait_for(_is_empty, "the outbox is empty", timeout=300)
    numbers = sorted(run.data.metrics["number"] for run in surroundings.runs())
    assert numbers == list(range(30))
    (pair,) = surroundings.pairs()
    assert pair.logs == 30


def test_a_backlog_leaves_room_for_new_calls(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the relay empties a long outbox, calls at half of what the limit allows get through."""
    (surroundings.folder / "environments" / "limited.yaml").write_text(
        "domains: {mlflow: mlflow.example.com}\n"
        "rate_limits: {mlflow_api: {max_calls: 8, window_seconds: 8}}\n"
    )
    monkeypatch.setenv("ENV", "limited")
    _leave(surroundings, 30)
    store = os.environ["FLOWGAUGE_STORE"]
    with relay(surroundings.folder, mlflow_uri=surroundings.mlflow_url, store=store) as running:
        wait_for(lambda: _sample(running.url, "flowgauge_relay_sent_total") > 1, "it sends")
        for number in range(6):
            due = partial(_is_past, time.monotonic() + 2)
            payload = {"metrics": {"number": 100 + number}}
            assert log_with_mlflow(payload, experiment=surroundings.experiment, budget_seconds=30)
            wait_for(due, "the next call is due")
        assert _sample(running.url, "flowgauge_relay_sent_total") > 4
    assert "rate_limited" not in surroundings.failures()
