"""Collectors are isolated: none that fails or hangs breaks a scrape or piles up threads."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector as Registry

from flowgauge.errors import FlowgaugeError
from flowgauge.exporter.collector import Family
from flowgauge.exporter.families import family, histogram
from flowgauge.exporter.scrape import Scrape
from flowgauge.metrics import DAG_LOG_DURATION, DAG_LOGS, OUTBOX_ENTRIES, UP
from stack.process import wait_for


class _Collector:
    """Does what the test says."""

    def __init__(
        self, name: str, collect: Callable[[], Iterable[Family]], seconds: float = 30
    ) -> None:
        self.name = name
        self.time_limit_seconds = seconds
        self.collect = collect


def _healthy() -> Iterator[Family]:
    yield family(OUTBOX_ENTRIES, {(): 3})


def _failing() -> Iterator[Family]:
    yield family(UP, {(): 1})
    raise FlowgaugeError("the source is gone")


def _samples(scrape: Registry) -> dict[str, float]:
    text = generate_latest(scrape).decode()
    return {
        f"{sample.name}{''.join(sample.labels.values())}": sample.value
        for found in text_string_to_metric_families(text)
        for sample in found.samples
        if "duration" not in sample.name
    }


def _threads(name: str) -> int:
    return sum(thread.name == f"collector-{name}" for thread in threading.enumerate())


def test_a_failure_stays_its_own() -> None:
    """A collector that fails says so, keeps what it had yielded, and leaves the others alone."""
    scrape = Scrape([_Collector("bad", _failing), _Collector("good", _healthy)])
    assert _samples(scrape) == {
        "mlflow_up": 1,
        "mlflow_outbox_entries": 3,
        "flowgauge_collector_successbad": 0,
        "flowgauge_collector_successgood": 1,
    }


def test_a_hung_collector_costs_one_thread_and_no_time() -> None:
    """A hang ends at its limit; later scrapes report it at once; when it ends, all is well."""
    release = threading.Event()

    def hanging() -> Iterator[Family]:
        yield family(UP, {(): 1})
        release.wait(60)

    scrape = Scrape([_Collector("hung", hanging, seconds=0.2), _Collector("good", _healthy)])
    good = {"mlflow_outbox_entries": 3, "flowgauge_collector_successgood": 1}
    assert _samples(scrape) == {**good, "mlflow_up": 1, "flowgauge_collector_successhung": 0}
    for _ in range(3):
        # What it had yielded is of an earlier time by now.
        assert _samples(scrape) == {**good, "flowgauge_collector_successhung": 0}
    assert _threads("hung") == 1
    release.set()
    wait_for(lambda: not _threads("hung"), "the thread ends")
    assert _samples(scrape)["flowgauge_collector_successhung"] == 1


def test_a_scrape_ends_when_its_own_time_does() -> None:
    """Whoever waits less has what was found by then; a later scrape joins, and has the rest."""
    release = threading.Event()
    runs = []

    def slow() -> Iterator[Family]:
        runs.append(1)
        yield family(UP, {(): 1})
        release.wait(60)
        yield family(OUTBOX_ENTRIES, {(): 3})

    scrape = Scrape([_Collector("slow", slow, seconds=1000)])
    assert _samples(scrape.within(0.1)) == {"mlflow_up": 1, "flowgauge_collector_successslow": 0}
    release.set()
    found = {"mlflow_up": 1, "mlflow_outbox_entries": 3, "flowgauge_collector_successslow": 1}
    assert _samples(scrape.within(60)) == found
    assert len(runs) <= 2


def test_all_collectors_run_at_the_same_time() -> None:
    """A scrape takes as long as its slowest collector, not as all of them together."""
    meeting = threading.Barrier(3, timeout=60)

    def waiting() -> Iterator[Family]:
        meeting.wait()
        yield family(OUTBOX_ENTRIES, {(): 3})

    scrape = Scrape([_Collector(name, waiting) for name in ("a", "b", "c")])
    assert {f"flowgauge_collector_success{name}": 1 for name in ("a", "b", "c")}.items() <= (
        _samples(scrape).items()
    )


def test_a_scrape_joins_a_run_that_is_under_way() -> None:
    """Two Prometheus servers that ask at once cost the source one reading."""
    release = threading.Event()
    runs = []

    def slow() -> Iterator[Family]:
        runs.append(1)
        release.wait(60)
        yield family(OUTBOX_ENTRIES, {(): 3})

    class _Clock:
        """Counts the scrapes that wait: each reads it once more before it does."""

        readings = 0

        def __call__(self) -> float:
            self.readings += 1
            return 0.0

    clock = _Clock()
    scrape = Scrape([_Collector("slow", slow)], clock)
    found: list[dict[str, float]] = []
    scrapes = [threading.Thread(target=lambda: found.append(_samples(scrape))) for _ in range(2)]
    for thread in scrapes:
        thread.start()
    # One for each scrape that begins, one that starts the run, one for each that is about to wait.
    wait_for(lambda: clock.readings >= 5, "both scrapes wait")
    release.set()
    for thread in scrapes:
        thread.join(60)
    assert [samples["mlflow_outbox_entries"] for samples in found] == [3, 3]
    assert len(runs) == 1


def test_registering_does_not_scrape() -> None:
    """A registry that wants names beforehand does not ask the source for them."""
    CollectorRegistry(auto_describe=True).register(
        Scrape([_Collector("bad", lambda: pytest.fail("it was asked"))])
    )


def test_a_lasting_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The log has a line when a failure begins and one when it ends; a defect has a traceback."""
    errors: list[Exception | None] = [
        FlowgaugeError("gone"), FlowgaugeError("gone"), None, None, KeyError("defect")
    ]  # fmt: skip

    def collect() -> Iterator[Family]:
        error = errors.pop(0)
        if error:
            raise error
        return iter(())

    scrape = Scrape([_Collector("moody", collect)])
    with caplog.at_level(logging.INFO):
        while errors:
            _samples(scrape)
    logged = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert logged == [
        ("WARNING", "The collector moody failed: gone"),
        ("INFO", "The collector moody works again."),
        ("ERROR", "The collector moody failed: it has a defect, KeyError"),
    ]
    assert caplog.records[-1].exc_info


def test_families_follow_the_table_of_metrics() -> None:
    """A family carries the name, type, labels and buckets that `flowgauge.metrics` gives it."""
    counts = list(range(len(DAG_LOG_DURATION.buckets) + 1))

    def both() -> Iterator[Family]:
        yield family(DAG_LOGS, {("etl", "load"): 7})
        yield histogram(DAG_LOG_DURATION, {("etl",): (counts, 1.5)})

    text = generate_latest(Scrape([_Collector("both", both)])).decode()
    assert 'mlflow_dag_logs_total{dag_id="etl",task_id="load"} 7.0' in text
    assert 'mlflow_dag_log_duration_seconds_bucket{dag_id="etl",le="0.25"} 4.0' in text
    assert 'mlflow_dag_log_duration_seconds_bucket{dag_id="etl",le="+Inf"} 12.0' in text
    assert 'mlflow_dag_log_duration_seconds_sum{dag_id="etl"} 1.5' in text
