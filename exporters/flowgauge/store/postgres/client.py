"""One connection to PostgreSQL that keeps to a deadline.

psycopg itself waits for a connection for two seconds and more, and for an answer for ever; its
layer over libpq (https://www.psycopg.org/psycopg3/docs/api/pq.html) lets us do the waiting.
"""

# What the first look-up of a name would load, where another thread may fork.
import encodings.idna  # noqa: F401
import select
import time

from psycopg import pq

from flowgauge.redact import without

__all__ = ["Client", "NotConnectedError", "PostgresError", "PostgresTimeoutError"]


class PostgresError(Exception):
    """What the server said; `sqlstate` is its code, empty if the connection failed."""

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class PostgresTimeoutError(PostgresError):
    """The deadline passed."""


class NotConnectedError(PostgresError):
    """There was no connection, so nothing was asked."""


class Client:
    """Connects by *conninfo*; deadlines are times of `time.monotonic`. For one thread at a time.

    Who answers may repeat what it was sent: the password is in no error.
    """

    def __init__(self, conninfo: str, deadline: float) -> None:
        self._libpq = pq.PGconn.connect_start(conninfo.encode())
        try:
            self._connect(deadline)
        except BaseException:
            # Whoever holds the error that led here holds this too.
            self._libpq.finish()
            raise
        self._libpq.nonblocking = 1

    def _connect(self, deadline: float) -> None:
        while (status := self._libpq.connect_poll()) != pq.PollingStatus.OK:
            if status == pq.PollingStatus.FAILED:
                raise NotConnectedError(self._message())
            self._wait(
                select.POLLOUT if status == pq.PollingStatus.WRITING else select.POLLIN, deadline
            )

    @property
    def is_alive(self) -> bool:
        """Whether the server left the connection alone since the last query."""
        return self._libpq.status == pq.ConnStatus.OK and not _ready(
            self._libpq.socket, select.POLLIN, 0
        )

    def literal(self, value: str | int) -> str:
        """Return *value* as SQL; PostgreSQL cannot keep a NUL, and no broken character."""
        if isinstance(value, int):
            return str(value)
        text = value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
        return pq.Escaping(self._libpq).escape_literal(text).decode()

    def query(self, sql: str, deadline: float) -> str | None:
        """Execute statements as one transaction; return the last one's first value."""
        self._libpq.send_query(sql.encode())
        while self._libpq.flush():
            self._wait(select.POLLOUT, deadline)
        value: bytes | None = None
        error: PostgresError | None = None
        while result := self._result(deadline):
            if result.status == pq.ExecStatus.TUPLES_OK:
                value = result.get_value(0, 0)
            elif result.status != pq.ExecStatus.COMMAND_OK:
                primary = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b""
                sqlstate = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
                said = self._without_password(primary) or self._message()
                error = PostgresError(said, _readable(sqlstate))
        if error:
            raise error
        return None if value is None else _readable(value)

    def close(self) -> None:
        """Close the connection."""
        self._libpq.finish()

    def _result(self, deadline: float) -> pq.abc.PGresult | None:
        while self._libpq.is_busy():
            self._wait(select.POLLIN, deadline)
            self._libpq.consume_input()
        return self._libpq.get_result()

    def _wait(self, event: int, deadline: float) -> None:
        if not _ready(self._libpq.socket, event, deadline - time.monotonic()):
            raise PostgresTimeoutError("timeout")

    def _message(self) -> str:
        return self._without_password(self._libpq.error_message).strip()

    def _without_password(self, said: bytes) -> str:
        # libpq knows it from wherever it came: the URL, PGPASSWORD, a file.
        return without(_readable(said), [_readable(self._libpq.password)])


def _readable(said: bytes) -> str:
    # A database in SQL_ASCII has whatever anybody wrote, and says it as it is.
    return said.decode(errors="replace")


def _ready(socket: int, event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(socket, event)
    return bool(poll.poll(max(seconds, 0) * 1000))
