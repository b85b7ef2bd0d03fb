"""The exporter where anybody may reach it: strangers cost it little, and a scrape nothing."""

import asyncio
import json
import shlex
import socket
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from threading import Event

import bcrypt
import httpx
import pytest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from flowgauge.exporter.families import family
from flowgauge.exporter.web import Page, web_app
from flowgauge.metrics import DAG_RUNS, OUTBOX_ENTRIES, RATE_LIMIT_MAX_CALLS
from flowgauge.store import open_store
from flowgauge.store.outbox import NewEntry
from flowgauge.tracking.tags import DAG_ID_TAG
from stack.exporter import exporter
from stack.http_server import serving
from stack.process import LOOPBACK, accepts, free_port, python_tool, running, wait_for
from tests.airflow.faulty_mlflow import respond, silent_server

_Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def _mlflow(answer: _Answer) -> Iterator[str]:
    class Server(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer(self)

        do_GET = do_POST = _respond  # noqa: N815 - the names http.server calls

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with serving(Server) as url:
        yield url


def _empty(handler: BaseHTTPRequestHandler) -> None:
    respond(handler, 200, b"3.3.0" if handler.path == "/version" else b"{}")


@contextmanager
def _with_256_descriptors(folder: Path, mlflow: str) -> Iterator[int]:
    port = free_port()
    options = [
        *("--mlflow-uri", mlflow, "--store", f"sqlite:///{folder}/store.db"),
        *("--web.listen-address", f"{LOOPBACK}:{port}"),
    ]
    command = shlex.join([python_tool("flowgauge"), "exporter", *options])
    limited = ["sh", "-c", f"ulimit -n 256; exec {command}"]
    with running(limited, log=folder / "log", ready=lambda: accepts(port)):
        yield port


def test_busy_connections_of_a_host_keep_no_other_out(folder: Path) -> None:
    """One that asks on all connections there are gives way to another host."""
    with (
        silent_server() as mlflow,
        _with_256_descriptors(folder, mlflow) as port,
        ExitStack() as strangers,
    ):
        for _ in range(200):
            stranger = socket.create_connection((LOOPBACK, port), timeout=60)
            strangers.enter_context(stranger)
            stranger.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        other = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=other, timeout=60) as client:
            assert client.get(f"http://{LOOPBACK}:{port}/healthz").text == "ok\n"


def test_idle_connections_keep_nobody_out(folder: Path) -> None:
    """With fewer descriptors than strangers hold connections, each scrape is answered."""
    with (
        _with_256_descriptors(folder, f"http://{LOOPBACK}:1") as port,
        ExitStack() as strangers,
    ):
        for number in range(300):
            stranger = socket.create_connection((LOOPBACK, port), timeout=60)
            strangers.enter_context(stranger)
            if number % 3 == 0:
                stranger.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        for _ in range(3):
            page = httpx.get(f"http://{LOOPBACK}:{port}/metrics", timeout=60)
            assert "mlflow_outbox_entries 0.0" in page.text
    assert "Traceback" not in (folder / "log").read_text()


def test_wrong_passwords_do_not_lock_the_scraper_out(folder: Path) -> None:
    """Who was let in goes on being let in while others guess, of whom but a few may wait."""
    hashed = bcrypt.hashpw(b"wonder", bcrypt.gensalt(12)).decode()
    file = folder / "web.yml"
    file.write_text(f"basic_auth_users: {{alice: '{hashed}'}}")
    options = ["--web.config.file", str(file)]
    store = f"sqlite:///{folder}/store.db"
    with exporter(folder, mlflow_uri=f"http://{LOOPBACK}:1", store=store, options=options) as url:
        page = f"{url}/healthz"
        assert httpx.get(page, auth=("alice", "wonder"), timeout=60).status_code == 200
        known = httpx.Client(timeout=60, auth=("alice", "wonder"))

        def guess(number: int) -> int:
            login = (("alice", "bob")[number % 2], f"guess {number}")
            return strangers.get(page, auth=login).status_code

        strangers = httpx.Client(timeout=60)
        with ThreadPoolExecutor(60) as pool, known, strangers:
            guesses = [pool.submit(guess, number) for number in range(60)]
            while not all(each.done() for each in guesses):
                assert known.get(page).status_code == 200
            assert {each.result() for each in guesses} == {401, 429}
        assert httpx.get(page, timeout=60).status_code == 401


def test_those_who_ask_for_readiness_share_an_answer(folder: Path) -> None:
    """However many ask `/readyz`, MLflow is asked seldom, and the scrape's probe is answered."""
    asked: list[str] = []
    go_on = Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        if len(asked) == 1:
            go_on.wait(30)
        _empty(handler)

    with (
        _mlflow(answer) as mlflow,
        exporter(folder, mlflow_uri=mlflow, store=f"sqlite:///{folder}/store.db") as url,
        ThreadPoolExecutor(50) as pool,
    ):
        ready = [pool.submit(httpx.get, f"{url}/readyz", timeout=60) for _ in range(50)]
        wait_for(lambda: asked, "the first asks MLflow")
        assert "\nmlflow_up 1.0" in httpx.get(f"{url}/metrics", timeout=60).text
        go_on.set()
        assert {each.result().status_code for each in ready} <= {200, 503}
        # One every few seconds, however slow this machine is, and those of the scrape.
        assert sum("experiments/search" in path for path in asked) < len(ready) / 2


class _Slow(Collector):
    """Waits at its first collection."""

    def __init__(self) -> None:
        self.began, self.go_on = Event(), Event()
        self.collected = count(1)

    def collect(self) -> Iterator[Metric]:
        number = next(self.collected)
        self.began.set()
        self.go_on.wait(30)
        yield GaugeMetricFamily("collected", "Times.", number)


def test_a_flood_that_asks_for_metrics_shares_a_few_pages() -> None:
    """Whatever formats and times strangers wish for; and no page is of before it was asked for."""
    slow = _Slow()
    app = web_app(lambda _seconds: slow, {}, "/metrics", Page("x", "y", "z"))

    async def besieged() -> list[str]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:

            async def ask(number: int = 0) -> str:
                formats = ["", "application/openmetrics-text;version=1.0.0", f"x/{number}"]
                headers = {
                    "Accept": formats[number % 3],
                    "X-Prometheus-Scrape-Timeout-Seconds": str(number / 10),
                }
                return (await client.get("/metrics", headers=headers)).text

            first = asyncio.create_task(ask())
            await asyncio.to_thread(slow.began.wait, 30)
            crowd = [asyncio.create_task(ask(number)) for number in range(300)]
            await asyncio.sleep(0)
            crowd[0].cancel()
            slow.go_on.set()
            await first
            return await asyncio.gather(*crowd[1:])

    pages = asyncio.run(besieged())
    assert all("collected" in page and "collected 1.0" not in page for page in pages)
    assert next(slow.collected) < 20


def test_a_defect_is_no_traceback_for_each_who_asks() -> None:
    """Readiness says in a line what nobody expected, without what it says."""

    def defect() -> None:
        raise KeyError("hunter2")

    app = web_app(lambda _seconds: _Slow(), {"store": defect}, "/metrics", Page("x", "y", "z"))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
            return await client.get("/readyz")

    answer = asyncio.run(ask())
    assert answer.status_code == 503
    assert answer.text == "store: cannot be asked, by a defect, KeyError\n"


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=abc",
        "application/openmetrics-text; version=1.0.0.0.0; q=x",
        "text/plain;version=",
        ",;=,;;q=",
        "*" * 10_000,
        '"\\',
    ],
)
def test_of_odd_wishes(idle_exporter: str, accept: str) -> None:
    """Whatever format a client wishes for, it gets one that Prometheus reads."""
    headers = {"Accept": accept, "Accept-Encoding": accept}
    page = httpx.get(f"{idle_exporter}/metrics", headers=headers, timeout=60)
    assert page.status_code == 200
    assert "mlflow_outbox_entries 0.0" in page.text


@pytest.fixture(scope="module")
def idle_exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An exporter of an empty store, without a MLflow."""
    folder = tmp_path_factory.mktemp("idle")
    store = f"sqlite:///{folder}/store.db"
    with exporter(folder, mlflow_uri=f"http://{LOOPBACK}:1", store=store) as url:
        yield url


_NAMES = ["\ud800", "a\nb", "\x1b[31m", "x" * 1_000_000, "", "\0", 'a"} 1\nup 1', "\u202e"]


def test_labels_are_clean() -> None:
    """What is no text, or a book, becomes a label that a page can show, once."""
    for name in _NAMES:
        (sample,) = family(RATE_LIMIT_MAX_CALLS, {(name,): 1}).samples
        # To Prometheus a label without a value is none.
        label = sample.labels.get("key", "")
        assert bool(label) == bool(name)
        assert len(label.encode()) <= 1000
        assert label.isprintable()
    assert len(family(RATE_LIMIT_MAX_CALLS, {("\n",): 1, ("\t",): 2}).samples) == 1


def _hostile(handler: BaseHTTPRequestHandler) -> None:
    """An MLflow whose users tag 5,000 runs as they like."""
    if handler.path == "/version":
        return respond(handler, 200, b"3" * 2_000_000)
    if "experiments" in handler.path:
        return respond(handler, 200, b'{"experiments": [{"experiment_id": "0", "name": "x"}]}')
    names = [*_NAMES[:3], "y" * 20_000, *(f"dag{number}{'z' * 240}" for number in range(2_000))]
    runs = [
        {
            "info": {
                "run_id": str(number),
                "experiment_id": "0",
                "status": "RUNNING",
                "start_time": 1,
            },
            "data": {"tags": [{"key": DAG_ID_TAG, "value": name}]},
        }
        for number, name in enumerate(names)
    ]
    return respond(handler, 200, json.dumps({"runs": runs}).encode())


def test_of_hostile_tags_and_entries(folder: Path) -> None:
    """Names that nobody can show, or too many, are `other`; the rest of the page is as ever."""
    url = f"sqlite:///{folder}/store.db"
    with closing(open_store(url)) as store:
        store.outbox.put(NewEntry("1", "etl", "load", "{}"))
    with sqlite3.connect(folder / "store.db") as db:
        _plant(db, "dag_id,task_id", [json.dumps([name, "load"]) for name in _NAMES])
        _plant(db, "dag_id", [json.dumps([f"dag{number}"]) for number in range(3_000)])
        _plant(db, "key", ["no JSON", "[1]", "[]", "[" * 100_000, '["\\ud800"]', '["api"]'])
    with _mlflow(_hostile) as mlflow, exporter(folder, mlflow_uri=mlflow, store=url) as page:
        read = 'flowgauge_collector_success{collector="runs"} 1.0'

        def has_read_the_runs() -> bool:
            return read in httpx.get(f"{page}/metrics", timeout=60).text

        wait_for(has_read_the_runs, "the runs were read, which a busy machine may take a while for")
        text = httpx.get(f"{page}/metrics", timeout=60).text
        assert len(text) < 3_000_000
        found = {each.name: each for each in text_string_to_metric_families(text)}
        assert found[OUTBOX_ENTRIES.name].samples[0].value == 1
        well = {
            sample.labels["collector"]: sample.value
            for sample in found["flowgauge_collector_success"].samples
        }
        assert set(well.values()) == {1.0}, well
        assert len(found[DAG_RUNS.name].samples) <= 1001
        labels = {
            (sample.name, *sorted(sample.labels.items()))
            for each in found.values()
            for sample in each.samples
        }
        assert ("mlflow_rate_limit_calls_total", ("key", "api")) in labels
        assert len(labels) == sum(len(each.samples) for each in found.values())
        assert all(each.isprintable() for label in labels for _, each in label[1:])


def _plant(db: sqlite3.Connection, kind: str, owners: list[str]) -> None:
    """Write what only somebody else would."""
    for place, owner in enumerate(owners):
        row = db.execute(
            "INSERT INTO owners (kind, place, labels) VALUES (?, ?, ?)", (kind, place, owner)
        )
        fields = ('["mlflow_rate_limit_calls_total"]', "no JSON", "[]", '["mlflow_up", "x"]')
        for field in fields:
            db.execute("INSERT INTO counts VALUES (?, ?, ?)", (row.lastrowid, field, "1"))
