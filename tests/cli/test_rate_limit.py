"""`flowgauge rate-limit` shows and resets what tasks fill."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowgauge.assets import asset
from flowgauge.store import Store, open_store
from stack.process import python_tool
from tests.cli.checking import run_flowgauge
from tests.counting import rate_limit
from tests.documents import blocks


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
    environ = {"FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db"}
    return run_flowgauge(folder, environ, "rate-limit", *arguments)


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


@pytest.mark.parametrize("command", ["show", "set", "unset", "reset"])
def test_a_key_of_bytes_that_are_no_text_is_refused(folder: Path, command: str) -> None:
    """One sentence that repeats it, and nothing is made."""
    more = ["--max-calls", "3", "--window-seconds", "1"] if command == "set" else []
    refused = _rate_limit(folder, command, os.fsdecode(b"a\xff"), *more)
    assert refused.returncode == 2
    assert refused.stderr == ("flowgauge: the argument b'a\\xff' is no UTF-8: write it so\n")
    assert not (folder / "store.db").exists()


def test_set_holds_for_everybody_until_unset(store: Store, folder: Path) -> None:
    """Whatever the code says, from the next call on; the length stays where none is given."""
    assert _rate_limit(folder, "set", "mlflow_api", "--max-calls", "3").stdout == (
        "set mlflow_api: 3 calls in 60 s\n"
    )
    assert "3 in 60 s, set" in _rate_limit(folder, "show").stdout
    assert [store.windows.acquire("mlflow_api", "2", 2, 60, wait).granted for wait in (1,)] == [
        True
    ]
    assert not store.windows.acquire("mlflow_api", "more", 99, 60, 0).granted
    assert _rate_limit(folder, "unset", "mlflow_api").returncode == 0
    assert store.windows.acquire("mlflow_api", "more", 99, 60, 1).granted


def test_the_runbooks_cure_works(store: Store, folder: Path) -> None:
    """What MLflowRateLimitSaturated says to type raises the limit for all, or empties it."""
    page = asset("runbooks") / "MLflowRateLimitSaturated.md"
    _, raising, emptying = blocks(page, language="bash")
    path = f"{Path(python_tool('flowgauge')).parent}:{os.environ['PATH']}"
    environ = {"PATH": path, "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db"}
    for block, calls in ((raising, 3), (emptying, 1)):
        subprocess.run(["bash", "-euc", block.text], env=environ, cwd=folder, check=True)
        # Who waits in line gets in, though the code says 2.
        granted = store.windows.acquire("mlflow_api", "2", 2, 60, 1).granted
        state = rate_limit(store, "mlflow_api")
        assert (granted, state.max_calls, state.window_calls) == (True, 40, calls)


def test_a_limit_is_set_before_it_is_used(store: Store, folder: Path) -> None:
    """It needs a length then, and shows at once."""
    refused = _rate_limit(folder, "set", "new", "--max-calls", "3")
    assert "no rate limit new is in use in this store yet: give --window-seconds too" in (
        refused.stderr
    )
    assert _rate_limit(folder, "set", "new", "--max-calls", "3", "--window-seconds", "9").stdout
    assert "3 in 9 s, set" in _rate_limit(folder, "show").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["set", "mlflow_api", "--max-calls", "0"], "0 is not in the range"),
        (["set", "mlflow_api"], "Missing option '--max-calls'"),
        (["set", "mlflow_api", "--max-calls", "3", "--window-seconds", "nan"], "length of time"),
        (["unset", "mlflow_api"], "the rate limit mlflow_api is not set in this store"),
        (["unset", "none"], "no rate limit none is in this store"),
    ],
)
def test_what_cannot_be_set_is_one_sentence(
    arguments: list[str], sentence: str, store: Store, folder: Path
) -> None:
    """It names what is wrong, and nothing changes."""
    done = _rate_limit(folder, *arguments)
    assert (done.returncode, sentence in done.stderr) == (2, True)
    assert rate_limit(store, "mlflow_api").max_calls == 2


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
