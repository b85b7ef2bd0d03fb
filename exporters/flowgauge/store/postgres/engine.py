"""One PostgreSQL shared by many processes and hosts, and the functions that run in it."""

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as StillRunning
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from psycopg.errors import Error

from flowgauge.background import in_background
from flowgauge.redact import redact_url
from flowgauge.store.engine import DURABLE_STEPS, reading
from flowgauge.store.errors import StoreError, StoreUnavailableError
from flowgauge.store.postgres.client import (
    Client,
    NotConnectedError,
    PostgresError,
    PostgresTimeoutError,
)
from flowgauge.store.postgres.conninfo import read_conninfo, write_conninfo
from flowgauge.store.postgres.sentences import refusal

if TYPE_CHECKING:
    from flowgauge.store.risks import Risk

__all__ = ["PostgresEngine"]

# An @ in the login, or behind a slash in it: the rest would be taken for a host.
_MISPLACED_AT = r"[^/]*+//(?:[^/?#]*@.*@|[^/?#]*+/[^?#]*@)"
_VERSION = "SHOW server_version"
_SCHEMA_VERSION = "1"
_SCHEMA = Path(__file__).with_name("schema.sql")
# What the server says where our schema, or its functions, are not there yet.
_NO_SCHEMA = {"3F000", "42883"}
# What a server says that was the primary once: it did nothing.
_READ_ONLY = "25006"
# Between two looks for the primary.
_PAUSE_SECONDS = 0.05
# A process needs one connection, and one more for each thread that is in a step at the same moment.
_KEPT = 4
# The server gives up before we do: its answer leaves the connection usable.
_SERVERS_SHARE = 0.9

_T = TypeVar("_T")


class PostgresEngine:
    """Runs functions atomically in the database at *url*, which is connected to on first use.

    Safe for threads and forks. Each step is one simple query, and so one transaction and one round
    trip; it leaves no state in the session, so that PgBouncer may give that to others in between.
    Where *url* names several hosts, the store is at the one that is primary, and a step waits out a
    fail-over within its time-out, if it is sure that nothing was done yet.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._timeout = timeout_seconds
        # By process: a parent's connections stay here in a forked child, unused and open.
        self._idle: dict[int, list[Client]] = {}
        if re.match(_MISPLACED_AT, url):
            raise self._no_url()
        try:
            settings = {**read_conninfo(url), "client_encoding": "utf8"}
            wait = float(settings.get("connect_timeout") or 0)
        except (Error, ValueError):
            raise self._no_url() from None
        self._hosts = _by_host(settings)
        if wait > timeout_seconds:
            raise StoreError(
                f"{self._name} has connect_timeout={wait:g}, but is given up after"
                f" {timeout_seconds:g} s: leave it out"
            )

    def _no_url(self) -> StoreError:
        # libpq's own words repeat what it took for a host or a port: half of a password.
        return StoreError(
            f"{self._name} is no PostgreSQL URL: use postgresql://user:password@host:5432/name, and"
            " write / as %2F, @ as %40, % as %25 in user and password"
        )

    @property
    def _name(self) -> str:
        return f"the store {redact_url(self._url)}"

    def step(self, name: str, /, *arguments: str | int) -> Any:
        """Call the function of that name and return its answer."""

        def call(client: Client, deadline: float) -> str | None:
            function = f"SELECT flowgauge.{name}({', '.join(map(client.literal, arguments))})"
            return client.query(
                _transaction(function, deadline, durable=name in DURABLE_STEPS), deadline
            )

        answer = self._in_time(call)
        with reading(name):
            return json.loads(answer) if answer else None

    def about(self) -> str:
        """See `Engine.about`."""
        version = self._in_time(lambda client, deadline: client.query(_VERSION, deadline))
        return f"PostgreSQL {version}".split(" (")[0]

    def risks(self) -> "Sequence[Risk]":
        """See `Engine.risks`."""
        from flowgauge.store.postgres.risks import RISKS_SQL, read_risks  # noqa: PLC0415 - no task asks

        answer = self._in_time(lambda client, deadline: client.query(RISKS_SQL, deadline))
        return read_risks(answer or "")

    def init(self, *roles: str) -> None:
        """See `Engine.init`; functions that are there are brought up to date."""
        deadline = time.monotonic() + self._timeout
        with self._sentences():
            client = self._connect(deadline)
            self._make_schema(client, deadline)
            for role in roles:
                name = '"' + role.replace('"', '""') + '"'
                # Where whoever administers has taken from PUBLIC what it has by default.
                functions = "EXECUTE ON ALL FUNCTIONS IN SCHEMA flowgauge"
                client.query(
                    f"GRANT USAGE ON SCHEMA flowgauge TO {name}; GRANT {functions} TO {name}",
                    deadline,
                )
            client.close()

    def close(self) -> None:
        """See `Engine.close`."""
        for client in self._idle.pop(os.getpid(), []):
            client.close()

    def _in_time(self, ask: Callable[[Client, float], _T]) -> _T:
        """Ask the server that has the store, wherever it goes, and end within the time-out."""
        deadline = time.monotonic() + self._timeout
        with self._sentences():
            while True:
                try:
                    with self._client(deadline) as client:
                        return ask(client, deadline)
                except PostgresError as error:
                    left = deadline - time.monotonic()
                    if not self._may_be_elsewhere(error) or left < 2 * _PAUSE_SECONDS:
                        raise
                time.sleep(_PAUSE_SECONDS)

    def _may_be_elsewhere(self, error: PostgresError) -> bool:
        """Return whether nothing was done, and another host may be the primary soon."""
        did_nothing = isinstance(error, NotConnectedError) or error.sqlstate == _READ_ONLY
        passes = isinstance(refusal(self._name, error), StoreUnavailableError)
        return len(self._hosts) > 1 and did_nothing and passes

    @contextmanager
    def _client(self, deadline: float) -> Iterator[Client]:
        """Lend a connection; one whose step failed within is not used again."""
        client = self._take() or self._open(deadline)
        try:
            yield client
        except PostgresError as error:
            # An error that the server reports ends the transaction, not the connection.
            if error.sqlstate in ("", _READ_ONLY):
                client.close()
                raise
            self._give_back(client)
            raise
        except BaseException:
            client.close()
            raise
        self._give_back(client)

    def _take(self) -> Client | None:
        idle = self._idle.setdefault(os.getpid(), [])
        while idle:
            try:
                client = idle.pop()
            except IndexError:
                return None  # Another thread was faster.
            if client.is_alive:
                return client
            client.close()
        return None

    def _give_back(self, client: Client) -> None:
        idle = self._idle.setdefault(os.getpid(), [])
        if len(idle) < _KEPT:
            idle.append(client)
        else:
            client.close()

    def _open(self, deadline: float) -> Client:
        client = self._connect(deadline)
        try:
            version = client.query("SELECT flowgauge.schema_version()", deadline)
        except PostgresError as error:
            if error.sqlstate not in _NO_SCHEMA:
                client.close()
                raise
            self._make_schema(client, deadline)
            return client
        if version != _SCHEMA_VERSION:
            client.close()
            raise StoreError(
                f"{self._name} has schema version {version}, this flowgauge knows"
                f" {_SCHEMA_VERSION}: upgrade flowgauge, or name another database"
            )
        return client

    def _connect(self, deadline: float) -> Client:
        """Connect to the first host that answers; of the time that is left each has its share."""
        *others, last = self._hosts
        for number, host in enumerate(others):
            left = deadline - time.monotonic()
            with suppress(PostgresError):
                return self._connect_to(
                    host, deadline - left * (1 - 1 / (len(self._hosts) - number))
                )
        return self._connect_to(last, deadline)

    def _connect_to(self, settings: Mapping[str, str], deadline: float) -> Client:
        # Looking up the host's name is nothing that can be given up: it is done beside us, and not
        # by libpq, which would keep all other threads waiting.
        connecting = in_background(
            lambda: Client(write_conninfo(_with_addresses(settings)), deadline),
            "flowgauge-postgres",
        )
        try:
            return connecting.result(deadline - time.monotonic())
        except StillRunning:
            raise PostgresTimeoutError("timeout") from None

    def _make_schema(self, client: Client, deadline: float) -> None:
        client.query(_transaction(_SCHEMA.read_text(), deadline, durable=True), deadline)

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except PostgresError as error:
            raise refusal(self._name, error) from error
        except Error as error:
            # libpq itself, as when it is given a connection that is gone.
            raise refusal(self._name, PostgresError(str(error))) from error


def _by_host(settings: Mapping[str, str]) -> list[Mapping[str, str]]:
    """Return the settings of each host: libpq would wait for the first for as long as it takes."""
    lists = {
        name: settings[name].split(",") for name in ("host", "hostaddr", "port") if name in settings
    }
    number = max(map(len, lists.values()), default=1)
    if number > 1:
        settings = {"target_session_attrs": "read-write", **settings}
    return [
        {**settings, **{name: each[min(nth, len(each) - 1)] for name, each in lists.items()}}
        for nth in range(number)
    ]


def _with_addresses(settings: Mapping[str, str]) -> Mapping[str, str]:
    """Return the *settings* of one host with all addresses of its name: libpq tries each."""
    host = settings.get("host") or os.environ.get("PGHOST", "")
    # Others are the paths of sockets.
    if "hostaddr" in settings or not host or host.startswith(("/", "@")):
        return settings
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "that is no host name"
        raise NotConnectedError(f'no address of the host "{host}": {reason}') from None
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    hosts = ",".join([host] * len(addresses))
    return {**settings, "host": hosts, "hostaddr": ",".join(addresses)}


def _transaction(statements: str, deadline: float, *, durable: bool) -> str:
    """Return *statements* as one transaction that the server gives up in time.

    Statements of one simple query are one transaction
    (https://www.postgresql.org/docs/current/protocol-flow.html), and what is SET LOCAL ends with
    it.
    """
    milliseconds = max(int((deadline - time.monotonic()) * 1000 * _SERVERS_SHARE), 1)
    return (
        f"SET LOCAL statement_timeout = {milliseconds};"
        f"{'' if durable else ' SET LOCAL synchronous_commit = off;'}"
        f" SET TRANSACTION ISOLATION LEVEL READ COMMITTED; {statements}"
    )
