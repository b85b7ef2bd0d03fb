"""The store in PostgreSQL: for everything that runs on many hosts."""

from flowgauge.store.postgres.engine import PostgresEngine

__all__ = ["PostgresEngine"]
