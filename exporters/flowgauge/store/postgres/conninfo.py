"""Settings of a connection to PostgreSQL, in the form that libpq reads.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING. psycopg has the same,
with what it takes to go through many hosts, which a task would load for nothing.
"""

from collections.abc import Mapping

from psycopg import pq

__all__ = ["read_conninfo", "write_conninfo"]


def read_conninfo(conninfo: str) -> dict[str, str]:
    """Return the settings in *conninfo*, a URL or what `write_conninfo` wrote.

    Raises psycopg's `Error`, or `ValueError`, if it is neither.
    """
    options = pq.Conninfo.parse(conninfo.encode())
    return {each.keyword.decode(): each.val.decode() for each in options if each.val is not None}


def write_conninfo(settings: Mapping[str, str]) -> str:
    """Return *settings* as one text."""
    return " ".join(f"{name}='{_escaped(value)}'" for name, value in settings.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("'", r"\'")
