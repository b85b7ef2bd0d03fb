"""What is in MLflow's database: counted by one worker, now and then, and shown by all.

To count is to read a whole table. So the database does it, once a minute, or more rarely where it
takes longer than a hundredth of that twice running: once may be by chance. The worker that holds a
lock counts, and leaves the figures in a file for whichever is scraped; when it dies, another one
goes on.
"""

import fcntl
import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from flowgauge import metrics
from flowgauge.errors import UsageError
from flowgauge.foreign import parse_json, read_text
from flowgauge.redact import quote
from flowgauge.server.inventory_questions import COUNTED, Row, answers
from flowgauge.server.metrics_folder import INVENTORY, INVENTORY_DRAFT, INVENTORY_LOCK

if TYPE_CHECKING:
    from flowgauge.server.containment import Containment

__all__ = [
    "INTERVAL_VARIABLE",
    "InventoryPage",
    "count",
    "inventory_seconds",
    "keep_inventory",
    "pause_seconds",
]

INTERVAL_VARIABLE = "FLOWGAUGE_INVENTORY_SECONDS"
_EVERY_SECONDS = 60
_SHARE = 0.01
_RAREST_SECONDS = 3600.0
_DATABASE = re.compile(r"(postgresql|mysql|sqlite|mssql)(\+\w+)?:")


@dataclass(frozen=True)
class InventoryPage(Collector):
    """Shows what was counted last, and when; nothing of what could not be counted.

    A fault in reading is *contained*.
    """

    folder: Path
    contained: "Containment"

    def collect(self) -> Iterator[Family]:
        """Yield every family, also one without a sample."""
        families = {
            metric: GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for metric in (*COUNTED, metrics.INVENTORY_READ)
        }
        # Nothing was counted yet, or somebody took the folder away.
        with self.contained, suppress(OSError):
            kept = parse_json(read_text(self.folder / INVENTORY, regular=True))
            for metric in COUNTED:
                for *labels, value in kept["counts"].get(metric.name, ()):
                    families[metric].add_metric(list(map(_shown, labels)), float(value))
            families[metrics.INVENTORY_READ].add_metric([], float(kept["at"]))
        yield from families.values()


def _shown(label: object) -> str:
    # What is no text would take the whole page away.
    return str(label).encode(errors="backslashreplace").decode()


def inventory_seconds() -> int:
    """Return how often to count: FLOWGAUGE_INVENTORY_SECONDS, by default 60; 0 means never.

    Raises `UsageError` for what is no such number.
    """
    said = os.environ.get(INTERVAL_VARIABLE) or str(_EVERY_SECONDS)
    if not (said.isascii() and said.isdecimal()):
        raise UsageError(
            f"{INTERVAL_VARIABLE} is {quote(said)!r}: give a whole number of seconds, how often to "
            "count what is in MLflow's database at most, or 0 for never"
        )
    return int(said)


def pause_seconds(took: float, before: float, every: float) -> float:
    """Return how many seconds to wait after a count that *took* so many, at least *every*.

    The quicker of it and the one *before* counts: one alone may be slow by chance.
    """
    return min(max(min(took, before) / _SHARE, every), max(_RAREST_SECONDS, every))


def keep_inventory(
    folder: Path, databases: Mapping[str, str], contained: "Containment", every: float
) -> None:
    """Have a thread count what is in *databases*, as `count` does, *every* so many seconds.

    Of all workers that share *folder* one does. While a database is away, nothing is counted.
    """

    def keep() -> None:
        with contained:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            lock = os.open(folder / INVENTORY_LOCK, flags, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = 0.0
            while True:
                began = time.monotonic()
                with contained, suppress(OperationalError):
                    count(folder, databases)
                took = time.monotonic() - began
                time.sleep(pause_seconds(took, before, every))
                before = took

    if every and any(map(_DATABASE.match, databases.values())):
        threading.Thread(target=keep, name="flowgauge-inventory", daemon=True).start()


def count(folder: Path, databases: Mapping[str, str]) -> None:
    """Count what is in *databases*, URIs by `tracking`, `registry`, `auth`, and say it in *folder*.

    MLflow may keep things elsewhere too, which are not counted. Raises SQLAlchemy's errors.
    """
    counts: dict[str, list[Row]] = {}
    for name, uri in databases.items():
        if _DATABASE.match(uri):
            # A connection of its own: those of MLflow's pool are for its users.
            with create_engine(uri, poolclass=NullPool).connect() as connection:
                counts.update(answers(connection, name))
    draft = folder / INVENTORY_DRAFT
    # One may be left of a worker that died, and a link in its place would be followed.
    draft.unlink(missing_ok=True)
    with draft.open("x") as written:
        json.dump({"at": time.time(), "counts": counts}, written)
    draft.replace(folder / INVENTORY)
