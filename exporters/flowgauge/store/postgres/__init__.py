"""The store in PostgreSQL: for everything that runs on many hosts."""

from flowgauge.parts import import_parts

# A third of the time that `import psycopg` takes: it registers every type there is.
import_parts("psycopg", "pq", "errors")

from flowgauge.store.postgres.engine import PostgresEngine  # noqa: E402 - see above

__all__ = ["PostgresEngine"]
