"""Requests counted by the DAG and task that their headers name."""

import fcntl
import itertools
import multiprocessing
import os
import random
import re
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY, Counter, generate_latest

from flowgauge.dag_headers import DAG_ID_HEADER, OTHER, TASK_ID_HEADER, dag_headers, pair_of
from flowgauge.errors import UsageError
from flowgauge.server.business import Work
from flowgauge.server.containment import Containment
from flowgauge.server.dag_places import max_pairs
from flowgauge.server.dag_requests import DagRequests
from stack.mlflow import MlflowServer
from tests.server.scrape import Page, scrape

ASKED = Work(started_run=False, artifact_bytes=0, logged=False)
LOGGED = Work(started_run=False, artifact_bytes=0, logged=True)
RUN = Work(started_run=True, artifact_bytes=0, logged=True)
DAY = 24 * 3600

Totals = dict[tuple[str, str], float]


class Clock:
    """A clock that is set by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """Return what it was set to."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture(scope="module")
def contained() -> Iterator[Containment]:
    """What keeps faults in."""
    counter = Counter("dags_measuring_failed", "Faults.")
    yield Containment(counter)
    REGISTRY.unregister(counter)


def _sent(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return *headers* as an ASGI server hands them on."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _count(dags: DagRequests, dag_id: str, task_id: str = "t", work: Work = ASKED) -> None:
    dags.count(_sent(dag_headers(dag_id, task_id)), work, failed=False, seconds=0.5)


def _shown(dags: DagRequests, name: str = "mlflow_dag_requests") -> Totals:
    [family] = [family for family in dags.collect() if family.name == name]
    return {
        (sample.labels["dag_id"], sample.labels["task_id"]): sample.value
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("dag_id", "task_id"),
    [
        ("sales_daily", "load.train-2"),
        ("ventas_diarias_ñ", "größe"),
        ("販売", "a" * 250),
        ("d" * 250, ""),
    ],
)
def test_what_airflow_calls_a_dag_arrives_as_it_is(dag_id: str, task_id: str) -> None:
    """Every name that Airflow allows passes through HTTP, which can send only ASCII."""
    headers = dag_headers(dag_id, task_id)
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    sent = [headers.get(name, "").encode() for name in (DAG_ID_HEADER, TASK_ID_HEADER)]
    assert pair_of(*sent) == (dag_id, task_id)


@pytest.mark.parametrize(
    "sent",
    [
        (b"a b", b"t"),
        (b"a", b'"}\n'),
        (b"%0a", b"t"),
        (b"%ff", b"t"),
        (b"", b"t"),
        (b"d" * 251, b"t"),
        (b"d", b"%41" * 251),
        (b"\xff", b"t"),
        (b"d" * 1_000_000, b"t"),
        (b"../../etc/passwd", b"t"),
    ],
)
def test_what_airflow_would_not_is_other(sent: tuple[bytes, bytes]) -> None:
    """Nothing else of what a stranger may send becomes a label."""
    assert pair_of(*sent) == (OTHER, OTHER)


def test_when_a_file_is_taken_away_counting_begins_anew(
    folder: Path, contained: Containment, clock: Clock
) -> None:
    """A cleaner costs what was counted before, as a restart does, and nothing after it."""
    dags = DagRequests(folder, 10, contained, clock)
    for pattern in ("*", "*.counts", "*.places"):
        _count(dags, "early")
        for file in folder.glob(pattern):
            file.unlink()
        dags.look()
        for dag_id in ("b", "a", "a"):
            _count(dags, dag_id)
        dags.look()
        assert _shown(dags).items() >= {("a", "t"): 2, ("b", "t"): 1}.items()
        for file in folder.iterdir():
            file.unlink()
        dags.look()


def test_a_request_is_counted_for_its_task(measured: MlflowServer) -> None:
    """Requests, failures, time, runs and bytes; who sends no headers is not in these metrics."""
    ours = dag_headers("counted", "load")
    api = f"{measured.url}/api/2.0/mlflow"
    before = scrape(measured.url)
    created = httpx.post(f"{api}/runs/create", json={"experiment_id": "0"}, headers=ours)
    run_id = created.raise_for_status().json()["run"]["info"]["run_id"]
    artifacts = f"{measured.url}/api/2.0/mlflow-artifacts/artifacts/0/{run_id}"
    httpx.put(f"{artifacts}/a", content=b"12345", headers=ours).raise_for_status()
    below = httpx.put(f"{artifacts}/a/below-a-file", content=b"", headers=ours)
    assert below.status_code == 500
    assert httpx.get(f"{api}/runs/get?run_id=none", headers=ours).status_code == 404
    httpx.post(f"{api}/runs/create", json={"experiment_id": "0"}).raise_for_status()
    httpx.get(f"{measured.url}/version", headers={DAG_ID_HEADER: "no name"}).raise_for_status()

    def grown(figure: str, dag_id: str = "counted", task_id: str = "load") -> float:
        name, labels = f"mlflow_dag_{figure}_total", {"dag_id": dag_id, "task_id": task_id}
        return scrape(measured.url).value(name, **labels) - before.value(name, **labels)

    assert grown("requests") == 4
    assert grown("request_failures") == 1
    assert 0 < grown("request_seconds") < 60
    assert grown("runs_started") == 1
    assert grown("artifact_bytes") == 5
    assert grown("requests", OTHER, OTHER) == 1
    assert _all(scrape(measured.url)) == _all(before) + 5


def _all(page: Page) -> float:
    return page.value("mlflow_dag_requests_total")


def test_ten_thousand_inventions_leave_the_labels_at_the_cap(
    folder: Path, contained: Containment, clock: Clock
) -> None:
    """Nor do they keep out a DAG that starts runs, whichever of them came first."""
    dags = DagRequests(folder, 100, contained, clock)
    for number in range(10_000):
        _count(dags, f"invented_{number}", f"{number}")
        if number % 500 == 0:
            _count(dags, f"real_{number}", work=RUN)
    shown = _shown(dags)
    assert len(shown) == 101
    assert {f"real_{number}" for number in range(0, 10_000, 500)} <= {dag for dag, _ in shown}
    assert sum(shown.values()) == 10_020
    assert sum(_shown(dags, "mlflow_dag_runs_started").values()) == 20
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size < 50_000


def test_a_place_is_lost_to_who_logs_else_by_a_days_silence(
    folder: Path, contained: Containment, clock: Clock
) -> None:
    """Who only asks gives way at once, the one silent longest first; who logged does not."""
    dags = DagRequests(folder, 2, contained, clock)
    for dag_id in ("old", "asks"):
        _count(dags, dag_id)
        clock.now += 1
    _count(dags, "old")
    _count(dags, "logs", work=LOGGED)
    assert _dags(dags) == {"old", "logs", OTHER}  # `asks` was silent longer
    _count(dags, "asks_too")
    assert "asks_too" not in _dags(dags)
    _count(dags, "runs", work=RUN)
    assert _dags(dags) == {"logs", "runs", OTHER}
    _count(dags, "late", work=RUN)
    assert "late" not in _dags(dags)
    clock.now += DAY - 3
    _count(dags, "runs")
    _count(dags, "late", work=RUN)
    assert "late" not in _dags(dags)
    clock.now += 100
    _count(dags, "asks_too")
    assert "asks_too" not in _dags(dags)
    _count(dags, "late", work=RUN)
    assert _dags(dags) == {"runs", "late", OTHER}


def test_who_only_asked_gives_way_to_its_kind_after_a_day(
    folder: Path, contained: Containment, clock: Clock
) -> None:
    """A stranger who filled the list and went away leaves no mark on DAGs that only read."""
    dags = DagRequests(folder, 1, contained, clock)
    _count(dags, "invented")
    _count(dags, "reads")
    assert _dags(dags) == {"invented", OTHER}
    clock.now += DAY + 1
    _count(dags, "reads")
    assert _dags(dags) == {"reads", OTHER}


def test_a_worker_learns_at_once_that_another_gave_a_place_away(
    folder: Path, contained: Containment, clock: Clock
) -> None:
    """It counts nothing for the new owner that is the old one's."""
    one, other = (DagRequests(folder, 1, contained, clock) for _ in range(2))
    _count(one, "asks")
    _count(other, "runs", work=RUN)
    _count(one, "asks")
    assert _shown(one) == {("runs", "t"): 1, (OTHER, OTHER): 2}


def _dags(dags: DagRequests) -> set[str]:
    return {dag for dag, _ in _shown(dags)}


def test_no_sum_goes_back(folder: Path, contained: Containment, clock: Clock) -> None:
    """Whoever comes, loses its place and comes again: every request is counted once, always.

    What a loser counted is in `other` from then on. Three workers, each with a view of its own.
    """
    chance = random.Random(7)
    workers = [DagRequests(folder, 5, contained, clock) for _ in range(3)]
    before = 0.0
    for step in range(3000):
        clock.now += chance.choice([0, 1, DAY / 3])
        work = chance.choice([ASKED, LOGGED])
        _count(chance.choice(workers), f"dag_{chance.randrange(30)}", work=work)
        if step % 50 == 0:
            shown = _shown(chance.choice(workers))
            assert len(shown) <= 6
            assert min(shown.values()) >= 0
            assert sum(shown.values()) == step + 1
            assert shown.get((OTHER, OTHER), 0) >= before
            before = shown.get((OTHER, OTHER), 0)
    assert before > 0


def test_no_labels_at_all_if_so_wished(folder: Path, contained: Containment, clock: Clock) -> None:
    """With a cap of 0 the requests of DAGs are counted together."""
    dags = DagRequests(folder, 0, contained, clock)
    _count(dags, "one", work=RUN)
    _count(dags, "two")
    assert _shown(dags) == {(OTHER, OTHER): 2}


@contextmanager
def _a_worker() -> Iterator[ProcessPoolExecutor]:
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, fork) as process:
        yield process


_mine: list[DagRequests] = []


def _count_in_worker(folder: Path, most: int, dag_ids: list[str]) -> None:
    if not _mine:
        _mine.append(DagRequests(folder, most, Containment(Counter("w", "Faults.", registry=None))))
    for dag_id in dag_ids:
        _count(_mine[0], dag_id, work=RUN)


def test_workers_share_the_cap_and_a_dead_one_takes_nothing_along(
    folder: Path, contained: Containment
) -> None:
    """Killed, a worker leaves its counts, and its file to the one that comes in its place."""
    reader = DagRequests(folder, 10, contained)
    with _a_worker() as first, _a_worker() as second:
        first.submit(_count_in_worker, folder, 10, [f"dag_{n}" for n in range(8)]).result()
        second.submit(_count_in_worker, folder, 10, [f"dag_{n}" for n in range(4, 12)]).result()
        before = _shown(reader)
        assert len(before) == 11
        assert sum(before.values()) == 16
        assert before["dag_4", "t"] == 2
        os.kill(first.submit(os.getpid).result(), signal.SIGKILL)
        first.shutdown()
        assert _shown(reader) == before
        files = sorted(file.name for file in folder.iterdir())
        with _a_worker() as third:
            third.submit(_count_in_worker, folder, 10, ["dag_0", "dag_4"]).result()
            assert _shown(reader) == {
                pair: value + (pair[0] in {"dag_0", "dag_4"}) for pair, value in before.items()
            }
            assert sorted(file.name for file in folder.iterdir()) == files


def test_half_a_line_of_a_killed_worker_is_cut_off(
    folder: Path, contained: Containment, clock: Clock
) -> None:
    """Wherever its last words end, the others read on and write on."""
    line = b'[2, "half", "t", [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]'
    for number, cut in enumerate(range(1, len(line) + 1, 7)):
        own = folder / str(number)
        own.mkdir()
        dags = DagRequests(own, 5, contained, clock)
        _count(dags, "one")
        with (own / "dags.places").open("ab") as places:
            places.write(line[:cut])
        for dag_id in ("one", "two", "two"):
            _count(dags, dag_id)
        assert _shown(dags) == {("one", "t"): 2, ("two", "t"): 2}


def test_a_stopped_process_with_the_lock_holds_up_no_request(
    folder: Path, contained: Containment, clock: Clock
) -> None:
    """New names are `other` while the lock cannot be had, known ones are counted as ever."""
    dags = DagRequests(folder, 5, contained, clock)
    _count(dags, "known")
    with (folder / "dags.places").open("rb") as places:
        fcntl.flock(places, fcntl.LOCK_EX)
        for dag_id in ("known", "new", "new"):
            _count(dags, dag_id)
    assert _shown(dags) == {("known", "t"): 2, (OTHER, OTHER): 2}
    clock.now += 11
    _count(dags, "new")
    assert _shown(dags) == {("known", "t"): 2, (OTHER, OTHER): 2, ("new", "t"): 1}


def test_a_full_disk_costs_no_more_than_the_count(
    folder: Path, contained: Containment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file stays open for a request that could not be counted; with room, it counts."""
    dags = DagRequests(folder, 5, contained, clock)

    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:  # no real part: only a privileged process can mount one
        disk.setattr(os, "posix_fallocate", full)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                _count(dags, "etl")
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    _count(dags, "etl")
    assert _shown(dags) == {("etl", "t"): 1}
    assert sorted(file.name for file in folder.iterdir()) == ["dags.places", "dags_0.counts"]


def test_a_pipe_in_the_place_of_the_list_is_not_waited_for(
    folder: Path, contained: Containment, clock: Clock
) -> None:
    """Neither by a request nor by a page; it costs the counts of DAGs."""
    os.mkfifo(folder / "dags.places")
    dags = DagRequests(folder, 5, contained, clock)
    assert _shown(dags) == {}
    with contained:
        _count(dags, "etl")
    assert _shown(dags) == {}


@pytest.mark.parametrize("name", ['"\\ud800"', "5", "null", '"a\\nb"', "[]"])
def test_what_is_no_name_in_the_list_takes_no_page_away(
    name: str, folder: Path, contained: Containment, clock: Clock
) -> None:
    """Somebody else wrote it; what else there is to see is seen."""
    dags = DagRequests(folder, 5, contained, clock)
    _count(dags, "etl")
    with (folder / "dags.places").open("a") as places:
        places.write(f'[2, {name}, "t", [0, 0, 0, 0, 0, 0, 0]]\n')
    page = generate_latest(dags).decode()
    assert "# TYPE mlflow_dag_requests_total counter" in page
    assert "task_id" not in page


def test_counts_that_are_too_many_are_not_read(
    folder: Path, contained: Containment, clock: Clock
) -> None:
    """A huge file costs no memory; the counts of others are shown."""
    dags = DagRequests(folder, 5, contained, clock)
    _count(dags, "etl")
    (folder / "dags_1.counts").touch()
    os.truncate(folder / "dags_1.counts", 2**40)
    assert _shown(dags) == {("etl", "t"): 1}


def test_a_page_before_the_first_task_has_no_series(folder: Path, contained: Containment) -> None:
    """The metrics are named, and the folder is left as it is."""
    assert [len(family.samples) for family in DagRequests(folder, 5, contained).collect()] == [
        0
    ] * 5
    assert list(folder.iterdir()) == []


def test_every_kind_of_name_fits(folder: Path, contained: Containment, clock: Clock) -> None:
    """A list of the longest names that Airflow allows is read as it was written."""
    dags = DagRequests(folder, 50, contained, clock)
    names = [f"{'ñ' * 240}{number}" for number in range(50)]
    for name in itertools.chain(names, names):
        _count(dags, name)
    assert _shown(dags) == {(name, "t"): 2 for name in names}


@pytest.mark.parametrize("most", ["many", "-1", "100001", "1e3"])
def test_a_cap_that_is_none_is_one_sentence(most: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the variable, its value and what it may be."""
    monkeypatch.setenv("FLOWGAUGE_MAX_DAG_TASKS", most)
    said = f"FLOWGAUGE_MAX_DAG_TASKS is '{most}': give a whole number from 0 to 100,000"
    with pytest.raises(UsageError, match=re.escape(said)):
        max_pairs()
