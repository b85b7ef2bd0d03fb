"""Measuring cannot break what it measures."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from prometheus_client import REGISTRY, Counter
from sqlalchemy.pool import QueuePool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from werkzeug.routing import Map

from flowgauge.server.containment import Containment
from flowgauge.server.middleware import MetricsMiddleware
from flowgauge.server.pool import PoolWatch
from flowgauge.server.routes import Routes
from tests.server.scrape import ask


class Broken:
    """Instruments that fail, as they do on a full disk: each is asked for and cannot be had."""

    def __getattr__(self, name: str) -> object:
        raise OSError(28, "No space left on device")


@pytest.fixture
def failed() -> Iterator[Counter]:
    """What counts the faults."""
    counter = Counter("measuring_failed", "Faults.")
    yield counter
    REGISTRY.unregister(counter)


def test_a_request_is_answered_whatever_measuring_does(
    failed: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests get their answers, the faults are counted, and one of them is logged."""

    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    mlflow = Starlette(routes=[Route("/echo", echo, methods=["POST"])])
    app = MetricsMiddleware(
        mlflow,
        instruments=Broken(),  # type: ignore[arg-type]
        contained=Containment(failed),
        dags=Broken(),  # type: ignore[arg-type]
        routes=Routes(Map(), ""),
        page=mlflow,
        page_paths=frozenset(),
    )
    for _ in range(3):
        assert ask(app, "/echo", "POST", content=b"hello").text == "hello"
    assert ask(app, "/nowhere").status_code == 404
    assert _value(failed) == 8
    [logged] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "MLflow goes on" in logged.getMessage()
    assert "Traceback" in logged.getMessage()


def test_a_connection_is_handed_out_whatever_measuring_does(
    folder: Path, failed: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy's pools work as ever, and the fault is counted."""
    monkeypatch.setattr(QueuePool, "connect", QueuePool.connect)
    PoolWatch(Broken(), Containment(failed)).install()  # type: ignore[arg-type]
    with sqlalchemy.create_engine(f"sqlite:///{folder}/pool.db").connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT 1")) == 1
    assert _value(failed) >= 1


def test_mlflows_own_fault_stays_mlflows(failed: Counter) -> None:
    """An exception of MLflow passes through, and is not counted as one of measuring."""

    async def fail(_request: Request) -> Response:
        raise LookupError

    mlflow = Starlette(routes=[Route("/fail", fail)])
    app = MetricsMiddleware(
        mlflow,
        instruments=Broken(),  # type: ignore[arg-type]
        contained=Containment(failed),
        dags=Broken(),  # type: ignore[arg-type]
        routes=Routes(Map(), ""),
        page=mlflow,
        page_paths=frozenset(),
    )
    with pytest.raises(LookupError):
        ask(app, "/fail")


def _value(counter: Counter) -> float:
    [family] = counter.collect()
    return family.samples[0].value
