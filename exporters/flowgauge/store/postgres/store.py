"""The store in PostgreSQL."""

from flowgauge.store.postgres.connection import PostgresConnection
from flowgauge.store.steps import StepCounts, StepOutbox, StepWindows

__all__ = ["PostgresStore"]


class PostgresStore:
    """A `Store` in the database at *url*; its clock is the server's, and every step a function."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        postgres = PostgresConnection(url, timeout_seconds)
        self.windows = StepWindows(postgres.step)
        self.counts = StepCounts(postgres.step)
        self.outbox = StepOutbox(postgres.step)
        self.about = postgres.version
        self.init = postgres.init
        self.close = postgres.close
