"""`flowgauge rate-limit` shows and resets what tasks fill."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowgauge.store import Store, open_store
from stack.process import python_tool
from tests.counting import rate_limit


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """A store whose limit mlflow_api is full."""
    opened = open_store(f"sqlite:///{folder}/store.db", timeout_seconds=10)
    for number in range(3):
        opened.windows.acquire("mlflow_api", str(number), 2, 60, 0)
    opened.windows.acquire("other", "one", 5, 1.5, 0)
    yield opened
    opened.close()


def _rate_limit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [python_tool("flowgauge"), "rate-limit", *arguments],
        env={"FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def test_shows_all_limits_for_people(store: Store, folder: Path) -> None:
    """A table has a line for each limit: how full it is, who waits, what was counted."""
    header, api, other = _rate_limit(folder, "show").stdout.splitlines()
    assert header.split()[:4] == ["KEY", "IN", "WINDOW", "LIMIT"]
    assert api.split() == ["mlflow_api", "2", "2", "in", "60", "s", "1", "2", "1", "0.0", "s", "0"]
    assert "5 in 1.5 s" in other


def test_shows_limits_for_scripts(store: Store, folder: Path) -> None:
    """The JSON is a list, or the one object of the key that was asked for."""
    everything = json.loads(_rate_limit(folder, "show", "--output", "json").stdout)
    assert [state["key"] for state in everything] == ["mlflow_api", "other"]
    state = json.loads(_rate_limit(folder, "show", "mlflow_api", "--output", "json").stdout)
    assert (state["max_calls"], state["window_calls"], state["hits"]) == (2, 2, 1)


def test_a_store_without_limits_is_no_error(folder: Path) -> None:
    """Nothing in use is said in words, and as an empty list."""
    assert _rate_limit(folder, "show").stdout == "no rate limit is in use\n"
    assert json.loads(_rate_limit(folder, "show", "--output", "json").stdout) == []


def test_reset_empties_the_window(store: Store, folder: Path) -> None:
    """It says how many calls are forgotten; the counters stay."""
    done = _rate_limit(folder, "reset", "mlflow_api")
    assert done.stdout == "reset mlflow_api: 2 calls are forgotten\n"
    api = rate_limit(store, "mlflow_api")
    assert (api.window_calls, api.calls) == (0, 2)


@pytest.mark.parametrize("command", ["show", "reset"])
def test_a_key_that_is_not_there_is_wrong_usage(store: Store, folder: Path, command: str) -> None:
    """The sentence lists the keys there are; the exit code is 2."""
    done = _rate_limit(folder, command, "mlflow")
    assert done.returncode == 2
    assert done.stderr == (
        "flowgauge: no rate limit mlflow is in this store, which has: mlflow_api, other\n"
    )


def test_a_store_that_is_away_is_one_sentence(folder: Path) -> None:
    """Exit code 1 and a sentence without the password."""
    done = _rate_limit(folder, "show", "--store", "redis://:secret@127.0.0.1:1/0")
    assert done.returncode == 1
    assert done.stderr.startswith("flowgauge: the store redis://:***@127.0.0.1:1/0 cannot be")
    assert done.stderr.count("\n") == 1
