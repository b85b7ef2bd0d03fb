import gc
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import sqlalchemy
from prometheus_client import REGISTRY
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from flowgauge.dag_headers import dag_headers
from flowgauge.server.containment import Containment
from flowgauge.server.instruments import Instruments
from flowgauge.server.mlflow_host import connection_limit
from flowgauge.server.pool import PoolWatch
from stack.mariadb import MariaDb
from stack.mlflow import mlflow_server
from stack.postgres import Postgres
from stack.process import wait_for
from tests.server.conftest import APP
from tests.server.scrape import scrape

pytestmark = pytest.mark.whole_system(seconds=50)

SIZE, OVERFLOW, CLIENTS = 2, 1, 8


@pytest.mark.timeout(600)  # a MariaDB takes its time to be made ready for MLflow
def test_a_drained_pool_is_shown_exactly(folder: Path, database: Postgres | MariaDb) -> None:
    """Limit, checked out, waiting and time-outs are exact, while all waits and when it is over.

    A lock on a table makes every query hold its connection. MLflow answers 400 after 30 s.
    """
    env = {
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(SIZE),
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(OVERFLOW),
    }
    with mlflow_server(folder, options=APP, env=env, backend_store_uri=database.uri) as server:
        api = f"{server.url}/api/2.0/mlflow"
        run = httpx.post(f"{api}/runs/create", json={"experiment_id": "0"}, timeout=60)
        run_id = run.raise_for_status().json()["run"]["info"]["run_id"]

        def get_run(_: int) -> int:
            headers = dag_headers("etl", "load")
            answer = httpx.get(
                f"{api}/runs/get", params={"run_id": run_id}, headers=headers, timeout=120
            )
            return answer.status_code

        def pool(figure: str) -> float:
            return scrape(server.url).value(f"mlflow_db_pool_{figure}", pool="tracking")

        wait_for(lambda: pool("limit") == SIZE + OVERFLOW, "an idle worker shows its limit")
        with ThreadPoolExecutor(CLIENTS) as clients:
            with database.locked("runs"):
                answers = clients.map(get_run, range(CLIENTS))
                wait_for(lambda: pool("connections") == SIZE + OVERFLOW, "the pool is drained")
                wait_for(lambda: pool("waiting") == CLIENTS - SIZE - OVERFLOW, "the others wait")
                assert pool("timeouts_total") == 0
                assert scrape(server.url).value("mlflow_http_requests_in_progress") == CLIENTS
                timed_out = CLIENTS - SIZE - OVERFLOW
                wait_for(lambda: pool("timeouts_total") == timed_out, "they time out", interval=1)
                wait_for(lambda: pool("waiting") == 0, "nobody waits any more")
                assert pool("connections") == SIZE + OVERFLOW
            assert sorted(answers) == [200] * (SIZE + OVERFLOW) + [400] * 5
        wait_for(lambda: pool("connections") == 0, "all connections are back")
        waits = scrape(server.url)
        assert waits.value("mlflow_db_pool_wait_seconds_sum") > 5 * 30
        over_10 = waits.value("mlflow_db_pool_wait_seconds_bucket", le="+Inf") - waits.value(
            "mlflow_db_pool_wait_seconds_bucket", le="10.0"
        )
        assert over_10 == 5
        assert waits.value("mlflow_dag_requests_total", dag_id="etl") == CLIENTS
        assert waits.value("mlflow_dag_request_failures_total", dag_id="etl") == 5


@pytest.fixture(scope="module")
def instruments() -> Iterator[Instruments]:
    """The server's metrics in this process."""
    before = set(REGISTRY._collector_to_names)
    yield Instruments()
    for collector in set(REGISTRY._collector_to_names) - before:
        REGISTRY.unregister(collector)


@pytest.fixture
def watch(instruments: Instruments, monkeypatch: pytest.MonkeyPatch) -> PoolWatch:
    """SQLAlchemy's pools of this process, watched until the test ends."""
    monkeypatch.setattr(QueuePool, "connect", QueuePool.connect)
    watch = PoolWatch(instruments, Containment(instruments.measuring_failed))
    watch.install()
    return watch


def _engine(folder: Path, **options: object) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(f"sqlite:///{folder}/pool.db", **options)


def _figure(name: str, pool: str = "other") -> float | None:
    return REGISTRY.get_sample_value(f"mlflow_db_pool_{name}", {"pool": pool})


def _published(watch: PoolWatch, name: str) -> float | None:
    watch.publish()
    return _figure(name)


def test_sqlalchemy_is_as_we_know_it(folder: Path, watch: PoolWatch) -> None:
    """What the pool metrics take from SQLAlchemy is still there, else a sentence says what is not.

    This test is to fail first when SQLAlchemy changes.
    """
    engine = _engine(folder, pool_size=1, max_overflow=0, pool_timeout=0.05)
    changed = (
        f"SQLAlchemy {sqlalchemy.__version__} has changed, mend flowgauge/server/mlflow_host.py: "
    )
    assert isinstance(engine.pool, QueuePool), changed + "engines have no QueuePool by default"
    assert getattr(engine.pool, "_max_overflow", None) == 0, changed + "no Pool._max_overflow"
    timeouts = _figure("timeouts_total") or 0
    with engine.connect():
        watch.publish()
        assert _figure("connections") == 1, changed + "Engine.connect() is not Pool.connect()"
        with pytest.raises(sqlalchemy.exc.TimeoutError):
            engine.connect()
    assert _figure("timeouts_total") == timeouts + 1, changed + "a drained pool times out otherwise"


def test_a_waiting_thread_is_seen_until_it_is_served(folder: Path, watch: PoolWatch) -> None:
    """A thread counts as waiting from its request to its connection."""
    engine = _engine(folder, pool_size=1, max_overflow=0)
    served = threading.Event()

    def take_one() -> None:
        with engine.connect():
            served.set()

    with engine.connect():
        thread = threading.Thread(target=take_one)
        thread.start()
        wait_for(lambda: _published(watch, "waiting") == 1, "the thread waits")
        assert not served.is_set()
    thread.join()
    watch.publish()
    assert _figure("waiting") == 0
    assert _figure("connections") == 0


def test_a_pool_that_is_gone_leaves_no_ghost(folder: Path, watch: PoolWatch) -> None:
    """A collected pool's gauges turn to NaN, which the page leaves out; its name is free again."""
    engine = _engine(folder)
    engine.connect().close()
    watch.publish()
    assert _figure("limit") == 5 + 10
    engine.dispose()
    del engine
    gc.collect()
    watch.publish()
    assert math.isnan(_figure("limit") or 0)
    again = _engine(folder, pool_size=3, max_overflow=4)
    again.connect().close()
    watch.publish()
    assert _figure("limit") == 3 + 4


def test_two_pools_of_one_store_are_told_apart(folder: Path, watch: PoolWatch) -> None:
    """Pools living at the same time never share a name, so none hides behind another."""
    engines = [_engine(folder, pool_size=size, max_overflow=0) for size in (1, 2)]
    for engine in engines:
        engine.connect().close()
    watch.publish()
    assert _figure("limit", "other") == 1
    assert _figure("limit", "other-2") == 2


@pytest.mark.parametrize("poolclass", [NullPool, StaticPool])
def test_pools_without_a_limit_are_left_alone(
    folder: Path, watch: PoolWatch, poolclass: type[sqlalchemy.Pool]
) -> None:
    """SQLAlchemy's pools that cannot run dry work as ever."""
    with _engine(folder, poolclass=poolclass).connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT 1")) == 1


def test_an_unlimited_pool_has_an_infinite_limit(folder: Path) -> None:
    """With max_overflow=-1 no share of the limit is ever used."""
    pool = _engine(folder, max_overflow=-1).pool
    assert isinstance(pool, QueuePool)
    assert connection_limit(pool) == math.inf
