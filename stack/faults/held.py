"""A task that logs while something is wrong around it, and marks begin and end of each call.

`python -m stack.faults.held WAY MANNER SECONDS CALLS [TROUBLE...]` writes `begin N WAITED` and
`end N WAITED`, for whoever measures from outside, and last `memory N`, by how many MB it grew. WAY
is what is called, MANNER how, TROUBLE what has to be wrong within the process. WAITED is for how
many seconds the thread was ready and others had the processor, until then.
"""

import asyncio
import atexit
import logging
import os
import resource
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, create_server, socket, socketpair
from typing import Any

from flowgauge.airflow import RateLimitExceeded, best_effort, log_with_mlflow, rate_limit

__all__ = ["EIGHT_ADDRESSES", "MANNERS", "WAYS"]

EIGHT_ADDRESSES = [f"127.0.1.{number}" for number in range(1, 9)]
_THREADS = 50
_CHILDREN = 40
_kept: list[object] = []


def _now(seconds: float) -> None:
    log_with_mlflow({"rows": 1}, budget_seconds=seconds, delivery="now")


def _later(seconds: float) -> None:
    log_with_mlflow({"rows": 1}, budget_seconds=seconds, delivery="later")


def _best_effort(seconds: float) -> None:
    import mlflow  # noqa: PLC0415 - not every way loads it

    with best_effort(seconds), mlflow.start_run(experiment_id="0"):
        mlflow.log_metric("rows", 1)


def _rate_limit(seconds: float) -> None:
    @rate_limit(max_calls=1000, window_seconds=1, variable_key="held", max_wait_seconds=seconds)
    def limited() -> None:
        """Do nothing."""

    with suppress(RateLimitExceeded):
        limited()


WAYS: dict[str, Callable[[float], None]] = {
    "now": _now,
    "later": _later,
    "best_effort": _best_effort,
    "rate_limit": _rate_limit,
}


def _mark(word: str, number: int, waited: float = 0.0) -> None:
    # In one piece, also from many threads and processes.
    os.write(1, f"{word} {number} {waited}\n".encode())


def _waited() -> float:
    # https://docs.kernel.org/scheduler/sched-stats.html: nanoseconds that it ran, and waited.
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def _marked(call: Callable[[], None], number: int) -> None:
    _mark("begin", number, _waited())
    call()
    _mark("end", number, _waited())


def _one_by_one(call: Callable[[], None], calls: int) -> None:
    for number in range(calls):
        _marked(call, number)


def _in_threads(call: Callable[[], None], calls: int) -> None:
    threads = [
        threading.Thread(target=_marked, args=(call, number)) for number in range(_THREADS * calls)
    ]
    for first in range(0, len(threads), _THREADS):
        crowd = threads[first : first + _THREADS]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()


def _in_a_coroutine(call: Callable[[], None], calls: int) -> None:
    async def work() -> None:
        _one_by_one(call, calls)

    asyncio.run(work())


def _at_exit(call: Callable[[], None], calls: int) -> None:
    def last(_: int) -> None:
        _marked(call, 0)

    for _ in range(calls):
        atexit.unregister(last)
        atexit.register(last, 0)


def _in_forks(call: Callable[[], None], calls: int) -> None:
    """Fork children while other threads make calls of their own."""
    over = threading.Event()
    numbers = count(_CHILDREN * calls)

    def keep_busy() -> None:
        while not over.is_set():
            _marked(call, next(numbers))

    threads = [threading.Thread(target=keep_busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for first in range(0, _CHILDREN * calls, _CHILDREN):
        children = []
        for number in range(first, first + _CHILDREN):
            # A child's own begins with it.
            _mark("begin", number)
            child = os.fork()
            if child == 0:
                call()
                _mark("end", number, _waited())
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
    over.set()
    for thread in threads:
        thread.join()


MANNERS: dict[str, Callable[[Callable[[], None], int], None]] = {
    "alone": _one_by_one,
    "threads": _in_threads,
    "asyncio": _in_a_coroutine,
    "exit": _at_exit,
    "forks": _in_forks,
}


def _airflow() -> None:
    """Be a task of Airflow 3 whose supervisor takes each question and answers none."""
    from airflow.sdk.definitions._internal.contextmanager import (  # noqa: PLC0415
        _CURRENT_CONTEXT,
    )
    from airflow.sdk.execution_time import comms, task_runner  # noqa: PLC0415

    class Dag:
        dag_id = "held"
        params: Any = {}  # noqa: RUF012

    class Instance:
        task_id, map_index, try_number = "held", -1, 1

        def xcom_push(self, key: str, value: str) -> None:
            """Ask as Airflow's own does."""
            from airflow.sdk.execution_time.xcom import XCom  # noqa: PLC0415

            XCom.set(key, value, dag_id="held", task_id="held", run_id="held", map_index=-1)

    supervisor, task = socketpair()
    _kept.append(supervisor)
    task_runner.SUPERVISOR_COMMS = comms.CommsDecoder(socket=task)
    context: Any = {"dag": Dag(), "ti": Instance(), "run_id": "held", "params": {}}
    _CURRENT_CONTEXT.append(context)


def _name_server() -> None:
    """Be the name server, and answer nothing."""
    silent = socket(AF_INET, SOCK_DGRAM)
    silent.bind(("127.0.0.1", 53))
    _kept.append(silent)


def _eight_addresses() -> None:
    """Take no connection at any of them: nobody is told that it is so."""
    for address in EIGHT_ADDRESSES:
        server = create_server((address, 6379), backlog=1)
        _kept.append(server)
        for _ in range(3):
            filling = socket()
            filling.setblocking(False)
            filling.connect_ex((address, 6379))
            _kept.append(filling)


TROUBLES: dict[str, Callable[[], None]] = {
    "airflow": _airflow,
    "name server": _name_server,
    "eight addresses": _eight_addresses,
}


class _Log(logging.Handler):
    """Writes to stderr past Python's streams.

    One that a thread writes to in the moment of a fork stays locked in the child for ever, whoever
    logs there.
    """

    def emit(self, record: logging.LogRecord) -> None:
        os.write(2, f"{self.format(record)}\n".encode(errors="replace"))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(way: str, manner: str, seconds: str, calls: str, *troubles: str) -> None:
    """See above."""
    logging.basicConfig(level=logging.WARNING, handlers=[_Log()])
    for trouble in troubles:
        TROUBLES[trouble]()
    if way == "best_effort":
        import mlflow  # noqa: F401, PLC0415 - the task has, before it comes to its block
    before = _peak_mb()
    MANNERS[manner](lambda: WAYS[way](float(seconds)), int(calls))
    _mark("memory", round(_peak_mb() - before))


if __name__ == "__main__":
    main(*sys.argv[1:])
