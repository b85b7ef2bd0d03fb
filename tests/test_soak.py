"""A short form of `make soak`."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from stack.postgres import postgres
from stack.redis import redis_server
from stack.soak import Trend, soak
from stack.soak.crowding import crowd

pytestmark = pytest.mark.whole_system(seconds=30)


@pytest.mark.timeout(600)
def test_all_that_loads_the_parts_is_answered(folder: Path) -> None:
    """Users, DAGs, scrapers and clients that leave: all parts bear them, and none fails."""
    soaked = soak(folder, 5, scrape_seconds=600)
    assert {name for name in soaked.done if name.endswith("that failed")} == set()
    assert {"requests", "payloads", "clients that left"} <= set(soaked.done)
    for each in ("server", "exporter", "relay"):
        assert soaked.done[f"scrapes of {each}"] == 50
    assert set(soaked.trends) == {"server worker 1", "server worker 2", "exporter", "relay"}


def test_what_grows_is_named() -> None:
    """Memory by more than chance, descriptors, threads."""
    assert Trend(1e8, 1.02e8, 50, 52, 10, 12).grew == []
    assert Trend(1e8, 1.2e8, 50, 54, 10, 13).grew == ["memory", "descriptors", "threads"]


@pytest.mark.parametrize(
    ("engine", "number"),
    [
        ("sqlite", 10),
        ("redis", 30),
        ("postgresql", 30),
        pytest.param("sqlite", 50, marks=pytest.mark.long),
        pytest.param("redis", 500, marks=pytest.mark.long),
        pytest.param("postgresql", 500, marks=pytest.mark.long),
    ],
)
def test_of_many_tasks_at_once_every_call_is_counted_once(
    engine: str, number: int, folder: Path
) -> None:
    """What the store holds and counted, with what waits in files, is what the tasks did."""
    with ExitStack() as servers:
        urls = {
            "sqlite": lambda: f"sqlite:///{folder}/store.db",
            "redis": lambda: servers.enter_context(redis_server(folder)),
            "postgresql": lambda: servers.enter_context(postgres(folder)).url,
        }
        tally = crowd(urls[engine](), folder, number)
    assert tally.payloads == number * 4
    assert tally.is_true, tally
