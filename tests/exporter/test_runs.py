"""The collector that counts the runs of DAGs, beside what MLflow has."""

import itertools
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flowgauge.exporter.collector import Context
from flowgauge.exporter.collectors.runs import RunsCollector
from flowgauge.exporter.scrape import Scrape
from flowgauge.store import open_store
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.tags import DAG_ID_TAG
from stack.mlflow import MlflowServer
from stack.unwell import canned_server

_DAY = 24 * 3600 * 1000
_Labels = tuple[str, ...]
_Page = Mapping[tuple[str, _Labels], float]


@pytest.fixture
def context(mlflow: MlflowServer, folder: Path) -> Iterator[Context]:
    """What a collector of the shared MLflow reads from; it looks whenever it is asked."""
    with TrackingClient(mlflow.url, environ={}, timeout_seconds=60) as client:
        store = open_store(f"sqlite:///{folder}/store.db")
        yield Context(client, store, runs_interval_seconds=0)


def _page(collector: RunsCollector) -> _Page:
    """Return what a scrape shows, by name and label values."""
    text = generate_latest(Scrape([collector])).decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for found in text_string_to_metric_families(text)
        for sample in found.samples
    }


def _whole_page(collector: RunsCollector) -> _Page:
    """Return what a scrape shows once all runs have been read, which may take several looks."""
    while (page := _page(collector))["mlflow_dag_runs_limited", ()]:
        pass
    return page


class _Site:
    """An experiment of its own, and what DAGs do in it at times that the test says."""

    def __init__(self, client: TrackingClient) -> None:
        self.client = client
        new = {"name": uuid.uuid4().hex}
        self.experiment = client.call("POST", "experiments/create", new)["experiment_id"]

    def start(self, dag_id: str, start_ms: int) -> str:
        """Start a run and return its id."""
        new = {
            "experiment_id": self.experiment,
            "start_time": start_ms,
            "tags": [{"key": DAG_ID_TAG, "value": dag_id}],
        }
        return str(self.client.call("POST", "runs/create", new)["run"]["info"]["run_id"])

    def end(self, run_id: str, end_ms: int | None, status: str = "FINISHED") -> None:
        """End a run, or only say that it has ended."""
        ended = {"end_time": end_ms} if end_ms is not None else {}
        self.client.call("POST", "runs/update", {"run_id": run_id, "status": status, **ended})

    def delete(self, run_id: str) -> None:
        """Move a run to the trash."""
        self.client.call("POST", "runs/delete", {"run_id": run_id})

    def restore(self, run_id: str) -> None:
        """Take a run out of the trash."""
        self.client.call("POST", "runs/restore", {"run_id": run_id})

    def truth(self, now_ms: int) -> _Page:
        """Return what the page is to show of this experiment, by one reading of all its runs."""
        experiment = {"experiment_id": self.experiment}
        found = self.client.call("GET", "experiments/get", experiment)["experiment"]
        if found["lifecycle_stage"] != "active":
            return {}
        query = {"experiment_ids": [self.experiment], "order_by": ["attributes.start_time DESC"]}
        runs = self.client.call("POST", "runs/search", query).get("runs", [])
        shown: Counter[tuple[str, _Labels]] = Counter()
        for run in runs:
            (dag_id,) = (tag["value"] for tag in run["data"]["tags"] if tag["key"] == DAG_ID_TAG)
            info = run["info"]
            start, end = info["start_time"], info.get("end_time")
            if start < now_ms - _DAY:
                if info["status"] == "RUNNING":
                    shown["mlflow_dag_runs_stale", (dag_id,)] += 1
                continue
            shown["mlflow_dag_runs", (dag_id, info["status"])] += 1
            if start <= now_ms:
                newest = ("mlflow_dag_last_run_timestamp_seconds", (dag_id,))
                shown.setdefault(newest, start / 1000)
            if end:
                took = ("mlflow_dag_last_run_duration_seconds", (dag_id,))
                shown.setdefault(took, (end - start) / 1000)
        return shown


def _of(page: _Page, *dags: str) -> _Page:
    return {(name, labels): value for (name, labels), value in page.items() if {*labels} & {*dags}}


def _settled(collector: RunsCollector, truth: _Page, *dags: str, looks: int) -> _Page:
    """Return what is shown of *dags* when it is the *truth*, or after so many looks."""
    for _ in range(looks - 1):
        if (shown := _of(_page(collector), *dags)) == truth:
            return shown
    return _of(_page(collector), *dags)


class _Life(RuleBasedStateMachine):
    """DAGs start runs and end them, people delete and restore them, time passes, all at will."""

    _far_ahead = 6_000_000_000_000

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.site = _Site(context.tracking)
        self.context = context
        # Each example has its own time: what others left is long ago.
        type(self)._far_ahead += 10 * _DAY
        self.now_ms = self._far_ahead
        self.dags = [uuid.uuid4().hex for _ in range(2)]
        self.active: list[str] = []
        self.deleted: list[str] = []
        self.ended: set[str] = set()
        self.begin_anew()

    @rule()
    def begin_anew(self) -> None:
        """The exporter is started again."""
        self.collector = RunsCollector(self.context, page=4, now=lambda: self.now_ms / 1000)

    @rule(
        dag=st.integers(0, 1),
        ago_ms=st.sampled_from([0, 0, 1, 30_000, 3_600_000, _DAY - 60_000, _DAY, _DAY + 60_000]),
    )
    def start(self, dag: int, ago_ms: int) -> None:
        """A run starts, or arrives late."""
        self.active.append(self.site.start(self.dags[dag], self.now_ms - ago_ms))

    @rule(
        number=st.integers(0),
        ago_ms=st.sampled_from([0, 0, 5_000, 7_200_000, None]),
        status=st.sampled_from(["FINISHED", "FAILED", "KILLED"]),
    )
    def end(self, number: int, ago_ms: int | None, status: str) -> None:
        """A run ends, says so late, or does not say when."""
        if running := [run_id for run_id in self.active if run_id not in self.ended]:
            run_id = running[number % len(running)]
            self.ended.add(run_id)
            self.site.end(run_id, None if ago_ms is None else self.now_ms - ago_ms, status)

    @rule(number=st.integers(0))
    def delete(self, number: int) -> None:
        """A run is deleted."""
        if self.active:
            self.deleted.append(self.active.pop(number % len(self.active)))
            self.site.delete(self.deleted[-1])

    @rule(number=st.integers(0))
    def restore(self, number: int) -> None:
        """A run is restored."""
        if self.deleted:
            self.active.append(self.deleted.pop(number % len(self.deleted)))
            self.site.restore(self.active[-1])

    @rule(passed_ms=st.sampled_from([1, 60_000, 3_600_000, 13 * 3_600_000]))
    def pass_time(self, passed_ms: int) -> None:
        """Time passes."""
        self.now_ms += passed_ms

    @rule()
    def look(self) -> None:
        """Prometheus scrapes in the midst of it."""
        _page(self.collector)

    @rule()
    def compare(self) -> None:
        """When nothing changes any more, the page comes to show the truth, and goes on to."""
        truth = self.site.truth(self.now_ms)
        # Two rounds, of which a page brings three new runs, and each list has its turn in eight.
        looks = 2 * 8 * (len(self.active) // 3 + 2)
        assert _settled(self.collector, truth, *self.dags, looks=looks) == truth
        assert _of(_page(self.collector), *self.dags) == truth

    def teardown(self) -> None:
        """The last comparison; then the experiment is deleted, and with it what it had."""
        self.compare()
        experiment = {"experiment_id": self.site.experiment}
        self.site.client.call("POST", "experiments/delete", experiment)
        assert _of(_page(self.collector), *self.dags) == {}


def test_the_page_comes_to_show_what_mlflow_has(context: Context) -> None:
    """Whatever happens to runs between looks that read four at a time."""
    run_state_machine_as_test(
        lambda: _Life(context),  # type: ignore[arg-type]  # it only calls it
        settings=settings(max_examples=12, stateful_step_count=20, deadline=None),
    )


def test_what_starts_and_ends_is_on_the_page_at_the_next_look(context: Context) -> None:
    """Though most of the day's runs are not read again, and some took hours."""
    site, dag_id = _Site(context.tracking), uuid.uuid4().hex
    now_ms = 7_000_000_000_000
    early = [site.start(dag_id, now_ms - 5 * 3_600_000 + at) for at in range(30)]
    collector = RunsCollector(context, page=10, now=lambda: now_ms / 1000)
    _whole_page(collector)
    for _ in range(5):
        now_ms += 60_000
        new = [site.start(dag_id, now_ms - at) for at in (1, 20_000, 40_000)]
        site.end(early.pop(), now_ms)
        site.end(new[0], now_ms, "FAILED")
        assert _of(_page(collector), dag_id) == site.truth(now_ms)


def test_what_leaves_no_new_time_behind_is_found_in_its_turn(context: Context) -> None:
    """A run that is deleted, ends without a time, or arrives hours after it ended."""
    site, dag_id, now_ms = _Site(context.tracking), uuid.uuid4().hex, 7_050_000_000_000
    _newest, deleted, silent = (
        site.start(dag_id, now_ms - ago) for ago in (0, 4_000_000, 5_000_000)
    )
    site.end(deleted, now_ms - 3_900_000)
    collector = RunsCollector(context, now=lambda: now_ms / 1000)
    _whole_page(collector)
    site.delete(deleted)
    site.end(silent, None)
    site.end(site.start(dag_id, now_ms - 7_000_000), now_ms - 6_900_000, "FAILED")
    truth = site.truth(now_ms)
    assert truth["mlflow_dag_runs", (dag_id, "FAILED")] == 1
    assert _settled(collector, truth, dag_id, looks=16) == truth


def test_many_runs_that_came_at_once_are_found_in_a_few_looks(context: Context) -> None:
    """After an hour without a look, and where tasks give hundreds of runs one time."""
    site, dag_id = _Site(context.tracking), uuid.uuid4().hex
    now_ms = 7_100_000_000_000
    site.start(dag_id, now_ms)
    collector = RunsCollector(context, page=5, now=lambda: now_ms / 1000)
    _whole_page(collector)
    for minute in range(15):
        site.start(dag_id, now_ms + minute * 60_000)
    for _ in range(15):
        site.start(dag_id, now_ms + 1_000_000)
    now_ms += 3_600_000
    assert _of(_whole_page(collector), dag_id) == site.truth(now_ms)


class _Counting(TrackingClient):
    """Remembers the experiment of each run that MLflow told of."""

    told: Sequence[str] = ()

    def call(self, method: str, endpoint: str, *args: Any, **options: Any) -> dict[str, Any]:
        """Call, and remember."""
        answer = super().call(method, endpoint, *args, **options)
        self.told = [*self.told, *(run["info"]["experiment_id"] for run in answer.get("runs", []))]
        return answer


def test_what_is_known_is_hardly_read_again(mlflow: MlflowServer, context: Context) -> None:
    """A first look is spread over several, the next ask for little."""
    site, dag_id = _Site(context.tracking), uuid.uuid4().hex
    now_ms = 7_200_000_000_000
    for at in range(60):
        site.end(site.start(dag_id, now_ms - at * 600_000), now_ms - at * 600_000 + 1000)
    with _Counting(mlflow.url, environ={}) as client:
        counting = replace(context, tracking=client)
        collector = RunsCollector(counting, page=8, now=lambda: now_ms / 1000)
        _whole_page(collector)
        # Each look tells again of the newest two: they are within the minute to spare.
        assert 60 <= client.told.count(site.experiment) < 100
        client.told = []
        _page(collector)
        assert client.told.count(site.experiment) <= 2


class _Slow(TrackingClient):
    """Takes so many *seconds* of its own time to list all experiments, and counts how often."""

    seconds, now, lists = 0.0, 0.0, 0

    def call(self, method: str, endpoint: str, *args: Any, **options: Any) -> dict[str, Any]:
        """Call; the probe and what asks for changes have a filter."""
        if endpoint == "experiments/search" and "filter" not in args[0]:
            self.now += self.seconds
            self.lists += 1
        return super().call(method, endpoint, *args, **options)


@pytest.mark.parametrize(("seconds", "every_hours"), [(0.01, 1), (0.2, 3), (5, 6)])
def test_thousands_of_experiments_are_listed_rarely(
    mlflow: MlflowServer, context: Context, seconds: float, every_hours: int
) -> None:
    """Every hour, and where that takes MLflow long, every few."""
    with _Slow(mlflow.url, environ={}) as client:
        client.seconds = seconds
        collector = RunsCollector(replace(context, tracking=client), clock=lambda: client.now)
        _page(collector)
        for _ in range(25):
            client.now += 1800
            _page(collector)
        assert client.lists == 1 + 12 // every_hours


def test_after_a_quiet_weekend_it_asks_for_no_more(mlflow: MlflowServer, context: Context) -> None:
    """Runs of the days before, beside one that is RUNNING since then, are not news."""
    site, dag_id, now_ms = _Site(context.tracking), uuid.uuid4().hex, 7_250_000_000_000
    site.start(dag_id, now_ms - 3 * _DAY)
    for hours in range(12):
        at = now_ms - 2 * _DAY + hours * 3_600_000
        site.end(site.start(dag_id, at), at + 1)
    with _Counting(mlflow.url, environ={}) as client:
        counting = replace(context, tracking=client)
        collector = RunsCollector(counting, page=4, now=lambda: now_ms / 1000)
        _whole_page(collector)
        client.told = []
        page = _page(collector)
        assert page["mlflow_dag_runs_stale", (dag_id,)] == 1
        assert client.told.count(site.experiment) <= 1


def test_many_stale_runs_are_gone_soon_after_they_are_closed(context: Context) -> None:
    """Hundreds may be closed at once, by a maintenance DAG."""
    site, dag_id, now_ms = _Site(context.tracking), uuid.uuid4().hex, 7_260_000_000_000
    stale = [site.start(dag_id, now_ms - 2 * _DAY + at) for at in range(24)]
    collector = RunsCollector(context, page=4, now=lambda: now_ms / 1000)
    page = _whole_page(collector)
    assert page["mlflow_dag_runs_stale", (dag_id,)] == 24
    for run_id in stale:
        site.end(run_id, now_ms, "KILLED")
    assert _of(_whole_page(collector), dag_id) == {}


class _Clock:
    """Goes on by `step` whenever it is read."""

    now = 0.0
    step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_it_looks_no_more_often_than_it_may(context: Context) -> None:
    """In between it shows what it saw, and when; long looks are followed by longer pauses."""
    site, dag_id, clock, now = _Site(context.tracking), uuid.uuid4().hex, _Clock(), 7_300_000_000
    every_minute = replace(context, runs_interval_seconds=60)
    collector = RunsCollector(every_minute, now=lambda: now + clock.now, clock=clock)

    def shown() -> tuple[float, float]:
        page = _page(collector)
        read = page["mlflow_dag_runs_read_timestamp_seconds", ()]
        return page.get(("mlflow_dag_runs", (dag_id, "RUNNING")), 0), read - now

    assert shown() == (0, 0)
    site.start(dag_id, now * 1000)
    clock.now = 59
    assert shown() == (0, 0)
    clock.now = 60
    assert shown() == (1, 60)
    clock.now, clock.step = 120, 0.05
    runs, read_at = shown()
    assert (runs, round(read_at)) == (1, 120)
    clock.now, clock.step = 120 + 599, 0
    assert shown() == (runs, read_at)
    clock.now = 120 + 601
    assert shown() == (1, 120 + 601)


def test_a_day_is_24_hours_to_the_millisecond(context: Context) -> None:
    """A run is recent until 24 hours after its start; after that, still RUNNING, it is stale."""
    dag_id, started = uuid.uuid4().hex, 4_000_000_000_000
    _Site(context.tracking).start(dag_id, started)
    day_later = started / 1000 + 24 * 3600
    at_the_edge = _of(_whole_page(RunsCollector(context, now=lambda: day_later)), dag_id)
    assert at_the_edge["mlflow_dag_runs", (dag_id, "RUNNING")] == 1
    assert ("mlflow_dag_runs_stale", (dag_id,)) not in at_the_edge
    after = _of(_whole_page(RunsCollector(context, now=lambda: day_later + 0.001)), dag_id)
    assert after == {("mlflow_dag_runs_stale", (dag_id,)): 1}


def test_the_last_run_of_a_dag_is_shown_with_its_time(context: Context) -> None:
    """When it started, and how long the last one that ended took; none of tomorrow's."""
    site, dag_id, started = _Site(context.tracking), uuid.uuid4().hex, 4_500_000_000_000
    for after, took in ((0, 5_000), (10_000, 17_500), (60_000, None)):
        run_id = site.start(dag_id, started + after)
        if took:
            site.end(run_id, started + after + took, "FAILED")
    last = "mlflow_dag_last_run_timestamp_seconds", (dag_id,)
    shown = _whole_page(RunsCollector(context, now=lambda: started / 1000 + 60))
    assert shown[last] == started / 1000 + 60
    assert shown["mlflow_dag_last_run_duration_seconds", (dag_id,)] == 17.5
    assert shown["mlflow_dag_runs", (dag_id, "FAILED")] == 2
    earlier = _whole_page(RunsCollector(context, now=lambda: started / 1000 + 59))
    assert earlier[last] == started / 1000 + 10


def test_tags_of_strangers_do_not_fill_the_labels(context: Context) -> None:
    """What is no DAG's name, and DAGs beyond the limit, are counted together; the newest time."""
    site, started = _Site(context.tracking), 9_000_000_000_000
    mark = uuid.uuid4().hex
    etl, sales, new = (f"{mark}.{name}" for name in ("etl", "sales", "new"))
    for after, dag_id in enumerate((etl, sales, new, "no name", "x" * 251)):
        site.end(site.start(dag_id, started + after * 1000), started + after * 1000 + 500)

    def shown(max_pairs: int) -> _Page:
        limited = replace(context, max_pairs=max_pairs)
        return _whole_page(RunsCollector(limited, now=lambda: started / 1000 + 60))

    # What other tests left is older, and has its labels first.
    others = {labels[0] for name, labels in shown(1_000_000) if name == "mlflow_dag_runs_stale"}
    page = shown(len(others - {"other"}) + 2)
    names = ("runs", "last_run_timestamp_seconds", "last_run_duration_seconds")
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for (metric, labels), value in page.items():
        if (name := metric.removeprefix("mlflow_dag_")) in found:
            found[name][labels[0]] = value
    assert found == {
        "runs": {etl: 1, sales: 1, "other": 3},
        "last_run_timestamp_seconds": {
            etl: started / 1000, sales: started / 1000 + 1, "other": started / 1000 + 4
        },
        "last_run_duration_seconds": {etl: 0.5, sales: 0.5},
    }  # fmt: skip


def test_the_newest_runs_count_up_to_the_limit(context: Context) -> None:
    """Beyond it there are more, which a metric says; they do not pile up either."""
    site, dag_id, started = _Site(context.tracking), uuid.uuid4().hex, 9_500_000_000_000
    for after in range(6):
        site.start(dag_id, started + after)
    collector = RunsCollector(context, page=2, limit=4, now=lambda: started / 1000)
    running = "mlflow_dag_runs", (dag_id, "RUNNING")
    for _ in range(20):
        if (page := _page(collector)).get(running) == 4:
            break
    for shown in (page, _page(collector), _page(collector)):
        assert (shown[running], shown["mlflow_dag_runs_limited", ()]) == (4, 1)


def _canned(*runs: Mapping[str, Any]) -> dict[str, str]:
    return {
        "/api/2.0/mlflow/experiments/search": '{"experiments": [{"experiment_id": "0"}]}',
        "/api/2.0/mlflow/runs/search": json.dumps({"runs": runs}),
    }


def _canned_run(dag_id: str, start_ms: int) -> Mapping[str, Any]:
    info = {"run_id": "1", "experiment_id": "0", "status": "RUNNING", "start_time": start_ms}
    return {"info": info, "data": {"tags": [{"key": DAG_ID_TAG, "value": dag_id}]}}


@pytest.mark.parametrize("step", [0.2, 0.4, 0.6, 0.8])
def test_a_slow_mlflow_is_read_to_the_end_too(context: Context, step: float) -> None:
    """However long its answers take, even if not all of a look's questions have time."""
    now, times = 7_500_000_000.0, itertools.count(0, step)
    with canned_server() as server, TrackingClient(server.url, environ={}) as client:
        server.pages = _canned(_canned_run("etl", int(now * 1000)))
        collector = RunsCollector(
            replace(context, tracking=client), now=lambda: now, clock=lambda: next(times)
        )
        pages = [_page(collector) for _ in range(20)]
    assert pages[-1]["mlflow_dag_runs_limited", ()] == 0


def test_what_was_read_stays_while_mlflow_is_away(context: Context) -> None:
    """The page says of when it is; that MLflow is down is what another collector finds."""
    now = 7_400_000_000.0
    with canned_server() as server, TrackingClient(server.url, environ={}) as client:
        collector = RunsCollector(replace(context, tracking=client), now=lambda: now)
        server.pages = _canned(_canned_run("etl", int(now * 1000)))
        before = _page(collector)
        now += 3600
        server.pages = {"/version": "3.17.2"}
        assert _seen(_page(collector)) == _seen(before)
        assert before["mlflow_dag_runs", ("etl", "RUNNING")] == 1
        assert before["mlflow_dag_runs_read_timestamp_seconds", ()] == now - 3600


def _seen(page: _Page) -> _Page:
    """Return *page* without how long it took."""
    return {key: value for key, value in page.items() if "duration" not in key[0]}


def test_a_look_that_fails_is_said_until_one_succeeds(context: Context) -> None:
    """What was read before stays; MLflow is not asked again before it is time."""
    clock, success = _Clock(), ("flowgauge_collector_success", ("runs",))
    every_minute = replace(context, runs_interval_seconds=60)
    with canned_server() as server, TrackingClient(server.url, environ={}) as client:
        collector = RunsCollector(replace(every_minute, tracking=client), clock=clock)
        server.pages = _canned(_canned_run("etl", time.time_ns() // 1_000_000))
        running = "mlflow_dag_runs", ("etl", "RUNNING")
        page = _page(collector)
        assert (page[running], page[success]) == (1, 1)
        whole = server.pages
        server.pages = {**whole, "/api/2.0/mlflow/runs/search": "<html>Sign in</html>"}
        clock.now = 60
        page = _page(collector)
        assert (page[running], page[success]) == (1, 0)
        server.pages = whole
        clock.now = 119
        assert _page(collector)[success] == 0
        clock.now = 120
        assert _page(collector)[success] == 1
