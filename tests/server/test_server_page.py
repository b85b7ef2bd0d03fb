import asyncio
import gzip
import subprocess
import threading
from collections.abc import Iterator

import anyio
import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from flowgauge.metrics import (
    GATEWAY_OVERHEAD,
    GATEWAY_PROVIDER,
    GATEWAY_REQUESTS,
    SERVER_METRICS,
)
from flowgauge.server.page import MetricsPage
from stack.mlflow import MlflowServer
from stack.process import wait_for
from tests.server.scrape import answered_by, one_connection, parse, scrape, settled, workers

# By route, of which there are as many as a gateway has endpoints.
_FROM_FIRST_USE = {GATEWAY_REQUESTS, GATEWAY_PROVIDER, GATEWAY_OVERHEAD}


def test_every_metric_of_the_contract_is_on_the_page(measured: MlflowServer) -> None:
    """The page has every server metric with the type, help and labels the table promises."""
    httpx.get(f"{measured.url}/api/2.0/mlflow/experiments/get", params={"experiment_id": "0"})
    wait_for(lambda: scrape(measured.url).series("mlflow_db_pool_limit"), "the pool is shown")
    page = scrape(measured.url)
    for metric in set(SERVER_METRICS) - _FROM_FIRST_USE:
        assert f"# HELP {metric.name} {metric.help}\n" in page.text
        assert f"# TYPE {metric.name} {metric.kind}\n" in page.text
    for metric in SERVER_METRICS:
        for labels, _ in page.series(metric.series[0]):
            assert set(labels) - {"le"} == set(metric.labels)


def test_promtool_finds_nothing_wrong(measured: MlflowServer) -> None:
    """`promtool check metrics` accepts the page."""
    scraped = scrape(measured.url).text
    check = subprocess.run(
        ["promtool", "check", "metrics"], input=scraped, text=True, capture_output=True, check=False
    )
    assert check.returncode in (0, 3), check.stderr
    ours = [
        line
        for line in check.stdout.splitlines()
        if line.startswith(tuple(metric.name for metric in SERVER_METRICS))
    ]
    assert ours == []


def test_openmetrics_and_gzip_are_given_when_asked_for(measured: MlflowServer) -> None:
    """A scraper that accepts OpenMetrics and gzip, as Prometheus does, gets both."""
    accept = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
    with httpx.stream("GET", f"{measured.url}/metrics", headers=accept) as response:
        body = gzip.decompress(b"".join(response.iter_raw()))
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert "mlflow_http_requests" in {
        family.name for family in text_string_to_metric_families(body.decode())
    }


@pytest.mark.since(mlflow="3.5")
def test_a_scrape_by_service_name_is_answered(measured: MlflowServer) -> None:
    """Prometheus may scrape `mlflow:5000`, a Host that MLflow itself answers with 403."""
    foreign = {"Host": "mlflow:5000"}
    assert httpx.get(f"{measured.url}/metrics", headers=foreign).status_code == 200
    assert httpx.get(f"{measured.url}/", headers=foreign).status_code == 403


def test_only_reading_is_allowed(measured: MlflowServer) -> None:
    """The page answers HEAD like GET and refuses everything else with 405."""
    assert httpx.head(f"{measured.url}/metrics").status_code == 200
    assert httpx.post(f"{measured.url}/metrics").status_code == 405


def test_a_scrape_is_not_a_request(measured: MlflowServer) -> None:
    """Scraping changes no counter."""

    def scraped_twice() -> bool:
        return scrape(measured.url).counters() == scrape(measured.url).counters()

    wait_for(scraped_twice, "two scrapes, one after the other, show the same counters")


def test_a_scrape_does_not_wait_for_mlflows_threads() -> None:
    """The page comes even when every thread of MLflow is busy, say with a drained pool."""

    async def scrape_when_busy() -> int:
        threads = anyio.to_thread.current_default_thread_limiter()
        threads.total_tokens = 1
        page = httpx.ASGITransport(MetricsPage(CollectorRegistry()))
        async with threads, httpx.AsyncClient(transport=page, base_url="http://mlflow") as client:
            with anyio.fail_after(30):
                return (await client.get("/metrics")).status_code

    assert anyio.run(scrape_when_busy) == 200


class _Slow(Collector):
    """Waits at its first collection."""

    def __init__(self) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()
        self.collected = 0

    def collect(self) -> Iterator[Metric]:
        self.collected += 1
        self.began.set()
        self.go_on.wait(30)
        yield GaugeMetricFamily("collected", "Times.", self.collected)


def test_a_crowd_that_asks_for_the_page_shares_it() -> None:
    """Whatever format they ask for: nobody waits for more than a few pages, and none is old."""
    slow = _Slow()

    async def besieged() -> list[str]:
        transport = httpx.ASGITransport(MetricsPage(slow))
        async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:

            async def ask(accept: str) -> str:
                return (await client.get("/metrics", headers={"Accept": accept})).text

            first = asyncio.create_task(ask(""))
            await asyncio.to_thread(slow.began.wait, 30)
            wishes = [f"application/openmetrics-text;version=1.0.0{'0' * n}" for n in range(100)]
            crowd = [asyncio.create_task(ask(wish)) for wish in ("", *wishes)]
            for each in crowd[::10]:
                await asyncio.sleep(0)
                each.cancel()
            slow.go_on.set()
            await first
            answers = await asyncio.gather(*crowd, return_exceptions=True)
            return [answer for answer in answers if isinstance(answer, str)]

    pages = asyncio.run(besieged())
    assert len(pages) == 90
    assert all("collected" in page and "collected 1.0" not in page for page in pages)
    assert slow.collected <= 3


def test_every_worker_shows_the_same_counters(measured: MlflowServer) -> None:
    """Whichever of the two workers answers, the counters are those of both."""
    for _ in range(20):
        httpx.get(f"{measured.url}/version")
    settled(measured.url)
    seen: dict[int, object] = {}
    while len(seen) < len(workers(measured.pid)):
        with one_connection(measured.url) as client:
            response = client.get("/metrics")
            seen[answered_by(response, measured.pid)] = parse(response.text).counters()
    [counters] = {frozenset(counters.items()) for counters in seen.values()}  # type: ignore[attr-defined]
    assert counters
    assert len(seen) == 2
