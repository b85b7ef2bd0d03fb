"""The store in PostgreSQL: for everything that runs on many hosts."""

from flowgauge.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
