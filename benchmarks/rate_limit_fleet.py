"""The rate limit held to its word: 8 processes call 4 keys for 30 s, as fast as they are let.

    python -m benchmarks.rate_limit_fleet

Every process has a thread for each key. The grants are read from the store itself; on the servers
the processes' clocks are right, 61 s ahead and 61 s behind in turn.
"""

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from stack.fleet import Outcome, run_fleet
from stack.postgres import postgres
from stack.redis import redis_server

_KEYS = ("a", "b", "c", "d")
_MAX_CALLS = 20
_WINDOW_SECONDS = 3
_OFF = (0, 61, -61)
_HEADER = """\
| store | key | limit | most in any window | granted of what is allowed | calls by process \
| waits: p50, p99, max |
|---|---|---|---|---|---|---|"""


def _run(store_url: str, clock_offsets: Sequence[float]) -> Mapping[str, Outcome]:
    return run_fleet(
        store_url,
        processes=8,
        keys=_KEYS,
        max_calls=_MAX_CALLS,
        window_seconds=_WINDOW_SECONDS,
        seconds=30,
        clock_offsets=clock_offsets,
    )


def _row(store: str, key: str, outcome: Outcome) -> str:
    calls = sorted(len(waits) for waits in outcome.waits)
    waits = sorted(chain.from_iterable(outcome.waits))
    p99 = waits[int(len(waits) * 0.99)]
    return (
        f"| {store} | {key} | {outcome.max_calls} in {_WINDOW_SECONDS} s"
        f" | {outcome.most_in_a_window} | {outcome.utilisation:.2%} | {calls[0]} to {calls[-1]}"
        f" | {statistics.median(waits):.2f} s, {p99:.2f} s, {waits[-1]:.2f} s |"
    )


def main() -> None:
    """Print the table."""
    print(_HEADER)
    with tempfile.TemporaryDirectory() as folder:
        for key, outcome in _run(f"sqlite:///{folder}/store.db", [0]).items():
            print(_row("SQLite", key, outcome))
        with redis_server(Path(folder)) as url:
            for key, outcome in _run(url, _OFF).items():
                print(_row("Redis", key, outcome))
        with postgres(Path(folder, "postgres")) as server:
            for key, outcome in _run(server.url, _OFF).items():
                print(_row("PostgreSQL", key, outcome))


if __name__ == "__main__":
    main()
