"""The rate limit before a crowd: 400 processes, then 1,000 threads, call it in the same moment.

    python -m benchmarks.rate_limit_crowd

Each may wait for a minute, and the window is longer: so as many as the limit says may come through.
More means that the store was too busy to be asked, and took for one that is down.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowgauge.airflow.shared_store import shared_store
from stack.crowd import MAX_CALLS, Crowd, processes, threads
from stack.postgres import postgres
from stack.redis import redis_server

_PROCESSES, _THREADS = 400, 1000


@contextmanager
def _store(engine: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FLOWGAUGE_STORE"] = f"sqlite:///{folder}/store.db"
        if engine == "SQLite":
            yield
        elif engine == "Redis":
            with redis_server(Path(folder)) as url:
                os.environ["FLOWGAUGE_STORE"] = url
                yield
        else:
            with postgres(Path(folder)) as server:
                os.environ["FLOWGAUGE_STORE"] = server.url
                yield


def _row(engine: str, who: str, crowd: Crowd) -> str:
    return (
        f"| {engine} | {who} | {MAX_CALLS} | {crowd.through} | {crowd.refused}"
        f" | {crowd.longest:.2f} s |"
    )


def main() -> None:
    """Print the table."""
    print("| store | who | limit | came through | refused | the longest took |")
    print("|---|---|---|---|---|---|")
    for engine in ("SQLite", "Redis", "PostgreSQL"):
        for who, come, number in (
            ("processes", processes, _PROCESSES),
            ("threads", threads, _THREADS),
        ):
            with _store(engine):
                shared_store().windows.states()
                print(_row(engine, f"{number:,} {who}", come(number)))


if __name__ == "__main__":
    main()
